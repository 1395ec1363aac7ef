"""Docs that can fail: what can be set, asked or called stands in the README."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.main import get_command

from api.app import create_app
from api.cli import app as command_line
from qa.settings import Settings
from qa.types import RefusalCode

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
ROUTES = create_app(Settings()).openapi()["paths"]


@pytest.mark.parametrize("field", sorted(Settings.model_fields))
def test_every_setting_stands_in_the_readme(field: str) -> None:
    assert f"`FOOTNOTE_{field.upper()}`" in README


@pytest.mark.parametrize("path", sorted(ROUTES))
def test_every_route_stands_in_the_readme_with_its_methods(path: str) -> None:
    for method in ROUTES[path]:
        assert f"`{method.upper()} {path}`" in README


@pytest.mark.parametrize("command", sorted(get_command(command_line).commands))  # type: ignore[attr-defined]
def test_every_command_stands_in_the_readme(command: str) -> None:
    assert f"footnote {command}" in README


@pytest.mark.parametrize("code", sorted(c.value for c in RefusalCode))
def test_every_reason_of_a_refusal_stands_in_the_readme(code: str) -> None:
    assert f"`{code}`" in README
