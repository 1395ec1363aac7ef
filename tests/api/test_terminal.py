from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from rich.console import Console
from rich.status import Status

from api import terminal
from api.terminal import (
    AnswerPrinter,
    fetch_weights,
    find_files,
    ingest_files,
    mark,
    print_documents,
    print_json,
    print_passages,
    read_file,
    spinner,
)
from index.errors import DocumentTooLargeError, UndecodableTextError
from index.library import Upload
from qa.bootstrap import needed_weights
from qa.settings import Settings

Capture = pytest.CaptureFixture[str]


def cite(marker: int, end: int, **values: Any) -> dict[str, Any]:
    citation = {
        "marker": marker,
        "answer_start": 0,
        "answer_end": end,
        "quote": "a\nquote",
        "title": "A [bold]title[/bold]",
        "start": 3,
        "end": 10,
        "section": None,
    }
    return citation | values


def answer(text: str, *citations: dict[str, Any]) -> dict[str, Any]:
    return {"answered": True, "answer": text, "citations": list(citations), "passages": []}


def passage(text: str) -> dict[str, Any]:
    return {"title": "A title", "text": text, "start": 3, "end": 3 + len(text)}


def test_json_is_printed_as_one_readable_document(capsys: Capture) -> None:
    print_json({"text": "€ 😀 [bold]"})
    out = capsys.readouterr().out

    assert json.loads(out) == {"text": "€ 😀 [bold]"}
    assert "€ 😀" in out


def test_footnote_numbers_stand_where_their_claims_end() -> None:
    marked = mark(answer("One. Two.", cite(1, 4), cite(2, 9), cite(3, 9)))

    assert marked.plain == "One. [1] Two. [2] [3]"


# A terminal obeys control characters, so that rich leaves them out.
PLAIN = st.characters(exclude_characters="[", exclude_categories=["Cc", "Cs"])


@hypothesis_settings(deadline=None)
@given(st.text(PLAIN, max_size=20), st.lists(st.integers(0, 20), max_size=5))
def test_marking_takes_nothing_from_the_answer(text: str, ends: list[int]) -> None:
    places = [cite(n, min(end, len(text))) for n, end in enumerate(ends, start=1)]
    plain = mark(answer(text, *places)).plain
    for n in range(1, len(ends) + 1):
        plain = plain.replace(f" [{n}]", "", 1)

    assert plain == text


def test_an_answer_is_printed_with_each_footnote_once(capsys: Capture) -> None:
    citations = (cite(1, 4), cite(1, 9), cite(2, 9, section="A section"))
    AnswerPrinter().finish(answer("One. Two.", *citations))
    out = capsys.readouterr().out

    assert out.count("[1] “a quote”") == 1
    assert "A [bold]title[/bold], characters 3–10\n" in out
    assert "characters 3–10, section “A section”" in out


def test_a_refusal_is_printed_with_three_passages_at_most(capsys: Capture) -> None:
    refused = {
        "answered": False,
        "reason": {"message": "The documents do not [say]."},
        "passages": [passage(f"Text {n}.") for n in range(5)],
    }
    AnswerPrinter().finish(refused)
    out = capsys.readouterr().out

    assert out.startswith("The documents do not [say].\nNearest:\n1. ")
    assert "3. " in out
    assert "4. " not in out


def test_tokens_are_shown_as_they_come() -> None:
    with Console(quiet=True).status("thinking") as waiting:
        assert isinstance(waiting, Status)
        show = AnswerPrinter().token(waiting)
        show("[50")
        show(" billion]")

        assert str(waiting.status) == "[50 billion]"


def test_a_spinner_leaves_standard_output_alone(capsys: Capture) -> None:
    with spinner("thinking"):
        pass

    assert capsys.readouterr().out == ""


def test_passages_are_cut_and_put_on_one_line(capsys: Capture) -> None:
    print_passages([passage("a\nb " * 200), passage("[bold]short[/bold]")])
    lines = capsys.readouterr().out.splitlines()

    assert lines[0].startswith("1. A title, characters 3–")
    assert lines[1].endswith("…")
    assert len(lines[1]) == 304
    assert lines[3] == "   [bold]short[/bold]"


def test_nothing_found_says_so(capsys: Capture) -> None:
    print_passages([])

    assert capsys.readouterr().out == "Nothing found.\n"


def test_no_documents_say_how_to_add_some(capsys: Capture) -> None:
    print_documents([])

    assert "footnote ingest PATH" in capsys.readouterr().out


def test_documents_are_a_table(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    document = {
        "id": "d1",
        "collection": "default",
        "title": "[red]A title",
        "characters": 12345,
        "passages": 7,
        "updated_at": "now",
    }
    print_documents([document])
    head, row = capsys.readouterr().out.splitlines()

    assert head.split() == ["id", "collection", "title", "characters", "passages", "updated"]
    assert row.split() == ["d1", "default", "[red]A", "title", "12,345", "7", "now"]


def test_a_folder_gives_what_a_loader_reads_in_order(tmp_path: Path) -> None:
    for name in ("b.txt", "a.MD", "c.bin", "README", "deep/d.markdown"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("Text.")

    found = [str(p.relative_to(tmp_path)) for p in find_files([tmp_path])]
    assert found == ["a.MD", "b.txt", "deep/d.markdown"]


def test_a_named_file_is_taken_whatever_its_suffix(tmp_path: Path) -> None:
    paths = [tmp_path / "README", tmp_path / "c.bin"]

    assert find_files(paths) == paths


def test_a_file_is_read_with_its_path_as_its_source(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"Text.\r\n")

    expected = Upload(b"Text.\r\n", "a.txt", collection="news", source=str(path.resolve()))
    assert read_file(path, "news") == expected


def test_a_file_that_is_too_large_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"x" * 100)
    monkeypatch.setenv("FOOTNOTE_MAX_DOCUMENT_BYTES", "99")
    monkeypatch.setattr(Path, "read_bytes", lambda _path: pytest.fail("it was read"))

    with pytest.raises(DocumentTooLargeError, match="100 bytes; the limit is 99"):
        read_file(path, "default")


@pytest.mark.parametrize("quiet", [True, False])
def test_a_bad_file_is_reported_and_the_rest_goes_on(
    tmp_path: Path, capsys: Capture, *, quiet: bool
) -> None:
    for name in ("a.txt", "b [draft].txt", "c.txt"):
        (tmp_path / name).write_text("Text.")

    def ingest(upload: Upload, progress: Any) -> dict[str, Any]:
        progress(1, 2)
        if upload.name == "a.txt":
            raise UndecodableTextError("a.txt is not text.")
        return {"outcome": "created", "document": {"passages": 1}}

    paths = [tmp_path, tmp_path / "gone.txt"]
    outcomes = ingest_files(ingest, paths, "default", quiet=quiet)
    out, err = capsys.readouterr()

    assert ["problem" in o for o in outcomes] == [True, False, False, True]
    assert outcomes[0]["fix"] == UndecodableTextError.fix
    assert "No such file" in outcomes[3]["problem"]
    assert out == ""
    assert ("✗ a.txt is not text." in err) is not quiet
    assert ("✓ b [draft].txt: created, 1 passages" in err) is not quiet


def test_weights_that_are_here_are_not_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "find", lambda weights, cache: cache / weights.name)
    monkeypatch.setattr(terminal, "ensure", lambda *_: pytest.fail("it was fetched"))
    monkeypatch.setattr("qa.bootstrap.prepare_verifier", lambda *_: None)
    settings = Settings(cache=tmp_path, runtime="llama.cpp")

    assert len(fetch_weights(settings)) == 3
    (embedder,) = fetch_weights(settings, language_model=False)
    assert embedder == tmp_path / settings.embedder


def test_weights_that_are_missing_are_fetched_with_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[str] = []

    def ensure(weights: Any, cache: Path, progress: Any) -> Path:
        for file in weights.files:
            progress(file.path, 1, 2)
        fetched.append(weights.name)
        return cache / weights.name

    monkeypatch.setattr(terminal, "find", lambda _weights, _cache: None)
    monkeypatch.setattr(terminal, "ensure", ensure)
    monkeypatch.setattr("qa.bootstrap.prepare_verifier", lambda *_: None)
    folders = fetch_weights(Settings(cache=tmp_path, runtime="llama.cpp"))

    assert [f.name for f in folders] == fetched
    assert len(fetched) == 3


def test_the_language_model_and_its_verifier_are_made_ready_with_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared: list[str] = []

    def prepare(_: Settings, weights: Any, progress: Any) -> None:
        prepared.append(weights.name)
        progress(weights.main, 1, 2)

    monkeypatch.setattr(terminal, "find", lambda weights, cache: cache / weights.name)
    monkeypatch.setattr("qa.bootstrap.prepare_local", prepare)
    monkeypatch.setattr("qa.bootstrap.prepare_verifier", lambda *_: prepared.append("verifier"))
    settings = Settings(cache=tmp_path)
    fetch_weights(settings, language_model=False)
    assert not prepared
    fetch_weights(settings)
    assert sorted(prepared) == sorted([needed_weights(settings)[-1].name, "verifier"])
    assert "converting for this processor" in capsys.readouterr().err
