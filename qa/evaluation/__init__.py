"""Scoring the service: question sets, runs, metrics, and the comparison of runs."""
