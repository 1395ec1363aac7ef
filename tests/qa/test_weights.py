import hashlib
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx
import pytest

from qa.errors import DigestMismatchError, WeightsUnavailableError
from qa.weights import (
    EMBEDDERS,
    LOCAL_MODELS,
    Progress,
    Weights,
    WeightsFile,
    Wheel,
    check_digest,
    ensure,
    find,
    folder_of,
    is_verified,
)

PARTS = (b"first part, ", b"second part, ", b"third part")
WHOLE = b"".join(PARTS)
CONFIG = b'{"small": true}'


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def model(digest: str = sha256(WHOLE)) -> Weights:
    """Give a model of one file in three wheels and one file in a wheel of its own."""
    wheels = tuple(Wheel(f"tiny-part{n}", "1.0", f"tiny/part{n}.bin") for n in (1, 2, 3))
    config = Wheel("tiny-config", "1.0", "tiny/config.json")
    return Weights(
        name="tiny",
        licence="Apache-2.0",
        main="tiny.gguf",
        files=(
            WeightsFile("tiny.gguf", len(WHOLE), digest, "someone/tiny", wheels),
            WeightsFile("sub/config.json", len(CONFIG), sha256(CONFIG), "someone/tiny", (config,)),
        ),
    )


class Index:
    """A package index of wheels made on the spot; `down` ones cannot be had."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.down: set[str] = set()
        self.members = {f"tiny-part{n}": part for n, part in enumerate(PARTS, start=1)}
        self.members["tiny-config"] = CONFIG

    def download(self, wheel: Wheel, folder: Path) -> Path:
        """Stand in for pip."""
        self.asked.append(wheel.distribution)
        if wheel.distribution in self.down:
            raise WeightsUnavailableError(f"The package index did not give {wheel.distribution}")
        path = folder / f"{wheel.distribution.replace('-', '_')}-1.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(wheel.member, self.members[wheel.distribution])
        return path


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Index:
    """Take the hub away and put wheels of the test's own in the package index's place."""

    def no_hub(_partial: Path, _file: WeightsFile, _downloads: Path, _progress: Progress) -> None:
        raise WeightsUnavailableError("The hub did not give it (no route).")

    wheels = Index()
    monkeypatch.setattr("qa.weights._from_hub", no_hub)
    monkeypatch.setattr("qa.weights._download", wheels.download)
    return wheels


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the names of the files that are hashed."""
    names: list[str] = []

    def counting(path: Path, file: WeightsFile) -> None:
        names.append(path.name)
        check_digest(path, file)

    monkeypatch.setattr("qa.weights.check_digest", counting)
    return names


def files_in(folder: Path) -> set[str]:
    """List the files of a folder, the seals left out."""
    found = (p for p in folder.rglob("*") if p.is_file() and ".verified" not in p.parts)
    return {str(p.relative_to(folder)) for p in found}


def test_wheels_are_joined_into_the_files_and_nothing_else_is_left(
    index: Index, tmp_path: Path
) -> None:
    assert find(model(), tmp_path) is None
    folder = ensure(model(), tmp_path)
    assert (folder / "tiny.gguf").read_bytes() == WHOLE
    assert (folder / "sub" / "config.json").read_bytes() == CONFIG
    assert files_in(folder) == {"tiny.gguf", "sub/config.json"}
    assert find(model(), tmp_path) == folder == folder_of(model(), tmp_path)
    assert index.asked == ["tiny-part1", "tiny-part2", "tiny-part3", "tiny-config"]


def test_what_is_there_is_not_fetched_again(index: Index, tmp_path: Path) -> None:
    ensure(model(), tmp_path)
    index.asked.clear()
    ensure(model(), tmp_path)
    assert index.asked == []


def zipped(digest: str = sha256(WHOLE)) -> Weights:
    """Give a model of two files that are in one zip file, which is in two wheels."""
    wheels = tuple(Wheel(f"zipped-part{n}", "1.0", f"zipped/part{n}.bin") for n in (1, 2))
    return Weights(
        name="zipped",
        licence="Apache-2.0",
        files=(
            WeightsFile("model.bin", len(WHOLE), digest, "someone/z", wheels, "z/model.bin"),
            WeightsFile("config.json", len(CONFIG), sha256(CONFIG), "someone/z", wheels, "z/c"),
        ),
    )


def zip_into(index: Index, tmp_path: Path) -> None:
    """Put the zip file's two halves into the index."""
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("z/model.bin", WHOLE)
        archive.writestr("z/c", CONFIG)
    data = (tmp_path / "z.zip").read_bytes()
    index.members |= {"zipped-part1": data[:40], "zipped-part2": data[40:]}


def test_files_of_a_zip_file_in_several_wheels_are_fetched_once_and_taken_out(
    index: Index, tmp_path: Path
) -> None:
    zip_into(index, tmp_path)
    index.down = {"zipped-part2"}
    with pytest.raises(WeightsUnavailableError, match="zipped-part2"):
        ensure(zipped(), tmp_path)
    index.down.clear()
    folder = ensure(zipped(), tmp_path)
    assert (folder / "model.bin").read_bytes() == WHOLE
    assert (folder / "config.json").read_bytes() == CONFIG
    assert files_in(folder) == {"model.bin", "config.json"}
    assert index.asked == ["zipped-part1", "zipped-part2", "zipped-part2"]


@pytest.mark.parametrize("what", ["the member", "the zip file"])
def test_a_zip_file_that_is_another_is_not_used_and_not_kept(
    index: Index, tmp_path: Path, what: str
) -> None:
    zip_into(index, tmp_path)
    wanted = zipped(sha256(b"another")) if what == "the member" else zipped()
    if what == "the zip file":
        index.members["zipped-part2"] = b"something else"
    with pytest.raises(WeightsUnavailableError):
        ensure(wanted, tmp_path)
    assert files_in(folder_of(wanted, tmp_path)) == set()


def test_a_file_of_the_wrong_digest_is_never_put_in_place(index: Index, tmp_path: Path) -> None:
    index.members["tiny-part2"] = b"something else"
    with pytest.raises(WeightsUnavailableError, match="SHA-256") as raised:
        ensure(model(), tmp_path)
    assert raised.value.fix
    assert files_in(folder_of(model(), tmp_path)) == set()
    assert find(model(), tmp_path) is None


def test_an_interrupted_fetch_goes_on_after_its_last_whole_part(
    index: Index, tmp_path: Path
) -> None:
    index.down = {"tiny-part3"}
    with pytest.raises(WeightsUnavailableError, match="tiny-part3"):
        ensure(model(), tmp_path)
    assert not (folder_of(model(), tmp_path) / "tiny.gguf").exists()
    index.down.clear()
    index.asked.clear()
    folder = ensure(model(), tmp_path)
    assert (folder / "tiny.gguf").read_bytes() == WHOLE
    assert index.asked == ["tiny-part3", "tiny-config"]


def test_half_a_part_that_a_killed_process_left_is_written_anew(
    index: Index, tmp_path: Path
) -> None:
    index.down = {"tiny-part3"}
    with pytest.raises(WeightsUnavailableError):
        ensure(model(), tmp_path)
    index.down.clear()
    with (folder_of(model(), tmp_path) / "tiny.gguf.partial").open("ab") as out:
        out.write(b"third pa")
    assert (ensure(model(), tmp_path) / "tiny.gguf").read_bytes() == WHOLE


@pytest.mark.parametrize("note", ["", "[2", "[]"])
def test_a_note_of_the_parts_that_was_cut_short_only_costs_a_new_start(
    index: Index, tmp_path: Path, note: str
) -> None:
    index.down = {"tiny-part3"}
    with pytest.raises(WeightsUnavailableError):
        ensure(model(), tmp_path)
    index.down.clear()
    (folder_of(model(), tmp_path) / "tiny.gguf.partial.parts").write_text(note)
    assert (ensure(model(), tmp_path) / "tiny.gguf").read_bytes() == WHOLE


def test_a_tampered_file_is_named_and_not_used(index: Index, tmp_path: Path) -> None:
    folder = ensure(model(), tmp_path)
    path = folder / "tiny.gguf"
    path.write_bytes(WHOLE[:-1] + b"!")
    index.asked.clear()
    for use in (find, ensure):
        with pytest.raises(DigestMismatchError, match=str(path)) as raised:
            use(model(), tmp_path)
        assert str(path) in raised.value.fix
    assert index.asked == []


def test_a_verified_file_is_not_hashed_again(
    index: Index, hashed: list[str], tmp_path: Path
) -> None:
    folder = ensure(model(), tmp_path)
    assert index.asked
    hashed.clear()
    ensure(model(), tmp_path)
    assert find(model(), tmp_path) == folder
    assert hashed == []


def test_a_file_whose_seal_was_cut_short_is_hashed_again_and_sealed(
    index: Index, hashed: list[str], tmp_path: Path
) -> None:
    folder = ensure(model(), tmp_path)
    assert index.asked
    for seal in (folder / ".verified").iterdir():
        seal.write_text(seal.read_text()[:7])
    hashed.clear()
    assert find(model(), tmp_path) == folder
    assert find(model(), tmp_path) == folder
    assert hashed == ["tiny.gguf", "config.json"]


def test_a_new_catalogue_entry_makes_an_old_seal_worthless(index: Index, tmp_path: Path) -> None:
    folder = ensure(model(), tmp_path)
    assert index.asked
    with pytest.raises(DigestMismatchError):
        is_verified(folder, model(sha256(b"another release")).files[0])


def test_progress_counts_up_to_the_size_of_each_file(index: Index, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    ensure(model(), tmp_path, lambda *step: seen.append(step))
    assert index.asked
    sizes = [done for name, done, _ in seen if name == "tiny.gguf"]
    assert sizes == [12, 25, 35]
    assert {(name, total) for name, _, total in seen} == {
        ("tiny.gguf", len(WHOLE)),
        ("sub/config.json", len(CONFIG)),
    }


def test_without_pip_the_package_index_is_no_source(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qa.weights.importlib.util.find_spec", lambda _name: None)
    with pytest.raises(WeightsUnavailableError, match=r"no route.*needs pip"):
        ensure(model(), tmp_path)
    assert index.asked == []


Handler = Callable[[httpx.Request], httpx.Response]


def give_hub(monkeypatch: pytest.MonkeyPatch, handler: Handler) -> None:
    """Put a hub of the test's own in the place of the real one."""
    client = partial(httpx.Client, transport=httpx.MockTransport(handler))
    monkeypatch.setattr("qa.weights.httpx.Client", client)


def hub_file(request: httpx.Request) -> bytes:
    return WHOLE if request.url.path.endswith("tiny.gguf") else CONFIG


def test_the_hub_is_asked_first_and_then_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_hub(monkeypatch, lambda request: httpx.Response(200, content=hub_file(request)))
    index = Index()
    monkeypatch.setattr("qa.weights._download", index.download)
    folder = ensure(model(), tmp_path)
    assert (folder / "tiny.gguf").read_bytes() == WHOLE
    assert files_in(folder) == {"tiny.gguf", "sub/config.json"}
    assert index.asked == []


@pytest.mark.parametrize("status", [206, 200])
def test_a_download_from_the_hub_goes_on_where_the_hub_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    ranges: list[str | None] = []

    def hub(request: httpx.Request) -> httpx.Response:
        ranges.append(request.headers.get("Range"))
        rest = hub_file(request)
        if ranges[-1] and status == httpx.codes.PARTIAL_CONTENT:
            return httpx.Response(206, content=rest[10:])
        return httpx.Response(200, content=rest)

    give_hub(monkeypatch, hub)
    folder = folder_of(model(), tmp_path)
    folder.mkdir(parents=True)
    (folder / "tiny.gguf.partial").write_bytes(WHOLE[:10])
    assert (ensure(model(), tmp_path) / "tiny.gguf").read_bytes() == WHOLE
    assert ranges == ["bytes=10-", None]


@pytest.mark.parametrize(
    "answer", [httpx.Response(503), httpx.Response(200, content=b"<html>log in</html>")]
)
def test_a_hub_that_gives_an_error_or_another_file_gives_way_to_the_package_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: httpx.Response
) -> None:
    give_hub(
        monkeypatch, lambda _request: httpx.Response(answer.status_code, content=answer.content)
    )
    index = Index()
    monkeypatch.setattr("qa.weights._download", index.download)
    assert (ensure(model(), tmp_path) / "tiny.gguf").read_bytes() == WHOLE
    assert "tiny-part1" in index.asked


def test_where_no_source_answers_the_error_gives_every_reason(index: Index, tmp_path: Path) -> None:
    index.down = {"tiny-part1"}
    with pytest.raises(WeightsUnavailableError, match=r"no route.*tiny-part1") as raised:
        ensure(model(), tmp_path)
    assert "footnote weights" in raised.value.fix


def test_the_shipped_models_are_named_with_a_licence_and_a_digest_for_every_file() -> None:
    for weights in {*LOCAL_MODELS.values(), *EMBEDDERS.values()}:
        assert weights.licence == "Apache-2.0"
        assert all(len(file.sha256) == 64 and file.wheels for file in weights.files)
        assert weights.size == sum(file.size for file in weights.files)
        assert not weights.main or weights.main in {file.path for file in weights.files}
