"""The composition root: the only place where collaborators are built.

Every entry point (the command line, the API, an evaluation, a test) comes through here; a keyword
swaps a collaborator for another.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from index.embed import SentenceTransformerEmbedder
from index.library import Library
from index.types import Embedder
from qa.errors import ModelSettingError, ModelUnavailableError
from qa.settings import Settings
from qa.types import LARGE, SMALL, TRAINED, Profile
from qa.weights import ADAPTERS, EMBEDDERS, LOCAL_MODELS, MPNET, Progress, Weights, ensure

if TYPE_CHECKING:
    from qa.chain import Chain
    from qa.models import Reader
    from qa.verifier import Verifier

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Service:
    """All that answers questions: an open library, a reader, the chain, and its executor.

    `verifier` is None for a reader that nothing was fitted for.
    """

    settings: Settings
    library: Library
    reader: Reader
    verifier: Verifier | None
    chain: Chain
    searching: Executor

    def close(self) -> None:
        """Release everything, the last built first."""
        self.reader.close()
        self.searching.shutdown(cancel_futures=True)
        self.library.close()


def needed_weights(settings: Settings) -> list[Weights]:
    """List the shipped models that these settings use."""
    needed = [EMBEDDERS[settings.embedder]] if settings.embedder in EMBEDDERS else []
    if settings.base_url is None and settings.model in LOCAL_MODELS:
        model = LOCAL_MODELS[settings.model]
        needed += [MPNET, model] if model.name in ADAPTERS else [model]
    return needed


def build_embedder(settings: Settings, progress: Progress = lambda *_: None) -> Embedder:
    """Build the embedder, fetching its weights; the model itself is loaded at first use."""
    weights = EMBEDDERS.get(settings.embedder)
    if weights is None:
        return _foreign_embedder(settings)
    folder = ensure(weights, settings.cache_path, progress)
    return SentenceTransformerEmbedder(
        str(folder), label=weights.name, dimension=384, precision=settings.precision
    )


def build_library(settings: Settings, *, embedder: Embedder | None = None) -> Library:
    """Open the data folder. Raises `StorageError`."""
    return Library(
        settings.home_path,
        embedder or build_embedder(settings),
        max_document_bytes=settings.max_document_bytes,
    )


def build_reader(settings: Settings, progress: Progress = lambda *_: None) -> Reader:
    """Build the language model that the settings name; the local one begins to load.

    Raises `ModelError`.
    """
    from qa.models import PlainReader, openai_compatible, provided  # noqa: PLC0415  LangChain

    if settings.base_url is not None:
        key = settings.api_key.get_secret_value() if settings.api_key else "none"
        model = openai_compatible(
            settings.model,
            settings.base_url,
            key,
            answer_tokens=LARGE.answer_tokens,
            timeout=settings.model_timeout,
        )
        return PlainReader(settings.model, model)
    if settings.model in LOCAL_MODELS:
        return _local_reader(settings, LOCAL_MODELS[settings.model], progress)
    if ":" not in settings.model:
        raise ModelSettingError(
            f"FOOTNOTE_MODEL={settings.model!r} names no model.",
            fix=f"Use one of {', '.join(LOCAL_MODELS)}, a LangChain `provider:model`, or set "
            "FOOTNOTE_BASE_URL to the server that has it.",
        )
    model = provided(
        settings.model, answer_tokens=LARGE.answer_tokens, timeout=settings.model_timeout
    )
    return PlainReader(settings.model, model)


def build_verifier(settings: Settings, progress: Progress = lambda *_: None) -> Verifier | None:
    """Build what verifies the answers of the shipped reader; it is loaded at its first use.

    None for any other reader: nothing is fitted for it. Raises `ModelError`.
    """
    if MPNET not in needed_weights(settings):
        return None
    from qa.compiled_verifier import MpnetVerifier  # noqa: PLC0415  numpy
    from qa.mpnet import folder_of  # noqa: PLC0415

    return MpnetVerifier(
        ensure(MPNET, settings.cache_path, progress),
        kept=folder_of(settings.cache_path),
        precision=settings.precision,
        threads=settings.threads,
    )


def build_service(
    settings: Settings,
    *,
    library: Library | None = None,
    reader: Reader | None = None,
    verifier: Verifier | None = None,
) -> Service:
    """Build all that answers questions; what is given is used as it is, and owned from now on."""
    from qa.chain import Limits, build_chain  # noqa: PLC0415  LangChain takes a second
    from qa.gate import Gate  # noqa: PLC0415
    from qa.retriever import FootnoteRetriever  # noqa: PLC0415

    owned = library or build_library(settings)
    reading = reader or build_reader(settings)
    verifying = verifier if reader is not None else verifier or build_verifier(settings)
    local = settings.base_url is None and settings.model in LOCAL_MODELS
    gate = Gate(slots=1 if local else settings.slots, queue=settings.queue)
    searching = ThreadPoolExecutor(max_workers=2, thread_name_prefix="search")

    def retriever(collection: str, beside: tuple[str, ...]) -> FootnoteRetriever:
        return FootnoteRetriever(
            library=owned,
            collection=collection,
            limit=settings.passages,
            beside=beside,
            executor=searching,
        )

    limits = Limits(
        question_characters=settings.max_question_characters,
        evidence_sentences=settings.evidence_sentences,
        evidence_characters=settings.evidence_characters,
        risk=settings.risk,
    )
    chain = build_chain(retriever, reading, gate, limits, verifying)
    return Service(settings, owned, reading, verifying, chain, searching)


def warm_embedder(service: Service) -> None:
    """Load the embedding model; blocks for some seconds."""
    service.library.embedder.embed_queries(["warm"])


async def warm_reader(service: Service) -> None:
    """Load the local model and let it read what all its prompts begin with; load its verifier.

    Raises `ModelError`. A model of another provider is not asked anything.
    """
    from qa.models import PlainReader  # noqa: PLC0415  LangChain takes a second
    from qa.prompts import check_messages, quote_messages, trained_messages  # noqa: PLC0415

    if service.verifier is not None:
        await asyncio.to_thread(service.verifier.load)
    if isinstance(service.reader, PlainReader):
        return
    model = await service.reader.answering()
    await service.reader.assent(check_messages(("This is one.",), "Is it one?", "Yes"))
    trained = service.reader.profile.style == "trained"
    build = trained_messages if trained else quote_messages
    await model.ainvoke(build("Is this a question?", ()))


def prepare_local(
    settings: Settings, weights: Weights, progress: Progress = lambda *_: None
) -> Path | None:
    """Give the folder of the local model as OpenVINO runs it, converting it where it is not there.

    None where another runtime is to run it, and where it cannot be converted, which is told in
    the log: then llama.cpp runs it. Raises `ModelError`.
    """
    from qa.conversion import convert  # noqa: PLC0415
    from qa.runtime import wants_openvino  # noqa: PLC0415

    if not wants_openvino(settings.runtime, settings.llama_server):
        return None
    model = ensure(weights, settings.cache_path, progress) / weights.main
    try:
        return convert(model, weights.digest, settings.cache_path, progress)
    except ModelUnavailableError as error:
        if settings.runtime == "openvino":
            raise
        logger.warning("%s llama.cpp runs it.", error)
        return None


def prepare_verifier(
    settings: Settings, folder: Path, progress: Progress = lambda *_: None
) -> None:
    """Keep the verifier, whose files `folder` has, as OpenVINO reads it, where that was not done.

    Where it cannot be kept, the log says so, and it is made in memory at each start.
    """
    from index.compiled import is_available  # noqa: PLC0415  numpy
    from qa.mpnet import SHIPPED, convert, folder_of  # noqa: PLC0415

    if not is_available():
        return
    kept = folder_of(settings.cache_path)
    try:
        convert(folder, SHIPPED, kept, progress)
    except (OSError, RuntimeError) as error:
        logger.warning("The verifier cannot be kept in %s: %s", kept, error)


def _local_reader(settings: Settings, weights: Weights, progress: Progress) -> Reader:
    model = ensure(weights, settings.cache_path, progress) / weights.main
    adapter = ADAPTERS.get(weights.name)
    profile = TRAINED if adapter else SMALL
    folder = prepare_local(settings, weights, progress)
    if folder is None:
        return _llama_reader(settings, weights.name, model, adapter, profile)
    from qa.compiled_reader import CompiledReader, load  # noqa: PLC0415  LangChain takes a second

    return CompiledReader(
        weights.name,
        partial(load, folder, adapter=adapter, threads=settings.threads),
        profile=profile,
        window=settings.context_tokens,
        timeout=settings.model_timeout,
    )


def _llama_reader(
    settings: Settings, name: str, model: Path, adapter: Path | None, profile: Profile
) -> Reader:
    from qa.llama import LlamaOptions, LlamaServer  # noqa: PLC0415
    from qa.models import LocalReader  # noqa: PLC0415  LangChain takes a second
    from qa.runtime import find_runtime  # noqa: PLC0415

    runtime = find_runtime(settings.llama_server)
    settings.home_path.mkdir(parents=True, exist_ok=True)
    options = LlamaOptions(
        model=model,
        alias=name,
        log=settings.home_path / "model.log",
        threads=settings.threads,
        context=settings.context_tokens,
        program=runtime.program,
        adapter=adapter,
    )
    server = LlamaServer(options)
    server.start()
    return LocalReader(
        name,
        server,
        profile=profile,
        timeout=settings.model_timeout,
        runtime=runtime.name,
    )


def _foreign_embedder(settings: Settings) -> Embedder:
    # The dimension is only known once the model is loaded; a foreign model is loaded at once.
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415  five seconds

    model = SentenceTransformer(settings.embedder, device="cpu")
    dimension = model.get_embedding_dimension()
    return SentenceTransformerEmbedder(
        settings.embedder,
        label=Path(settings.embedder).name,
        dimension=int(dimension or 0),
        precision=settings.precision,
    )
