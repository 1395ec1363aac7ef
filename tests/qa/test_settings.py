from pathlib import Path

import pytest
from pydantic import ValidationError

from qa.settings import Settings


def test_settings_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOOTNOTE_MODEL", "openai:some-model")
    monkeypatch.setenv("FOOTNOTE_PORT", "9001")
    monkeypatch.setenv("FOOTNOTE_EVIDENCE_SENTENCES", "7")
    monkeypatch.setenv("FOOTNOTE_UNHEARD_OF", "ignored")
    settings = Settings()
    assert (settings.model, settings.port) == ("openai:some-model", 9001)
    assert settings.evidence_sentences == 7


def test_what_is_given_outweighs_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOOTNOTE_QUEUE", "3")
    assert Settings(queue=5).queue == 5


def test_settings_cannot_be_changed_once_read() -> None:
    settings = Settings()
    with pytest.raises(ValidationError):
        settings.port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "70000"),
        ("QUEUE", "-1"),
        ("SLOTS", "0"),
        ("PASSAGES", "51"),
        ("MODEL_TIMEOUT", "0"),
        ("PRECISION", "int4"),
        ("EVIDENCE_CHARACTERS", "99"),
        ("CONTEXT_TOKENS", "many"),
    ],
)
def test_a_value_out_of_bounds_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"FOOTNOTE_{name}", value)
    with pytest.raises(ValidationError, match=name.lower()):
        Settings()


def test_a_key_is_not_printed() -> None:
    settings = Settings(api_key="very-secret")
    assert "very-secret" not in repr(settings)
    assert settings.api_key is not None
    assert settings.api_key.get_secret_value() == "very-secret"


def test_weights_are_kept_inside_the_home_where_only_that_is_set(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert settings.home_path == tmp_path
    assert settings.cache_path == tmp_path / "cache"


def test_weights_are_kept_in_the_cache_where_that_is_set(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", cache=tmp_path / "cache")
    assert settings.cache_path == tmp_path / "cache"
    assert Settings(cache=tmp_path).cache_path == tmp_path


def test_paths_are_absolute_and_know_the_user(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert Settings(home=Path("~/data")).home_path == tmp_path / "data"
    assert Settings(home=Path("data")).cache_path == tmp_path / "data" / "cache"
    assert Settings().home_path.is_absolute()
    assert Settings().cache_path.is_absolute()
    assert Settings().home_path != Settings().cache_path


def test_every_setting_is_described() -> None:
    assert [n for n, f in Settings.model_fields.items() if not f.description] == []
