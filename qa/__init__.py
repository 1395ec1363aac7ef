"""A question into a cited, verified answer. This package knows nothing of HTTP."""
