"""Every setting, as `FOOTNOTE_*` environment variables. Values only: nothing is built here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from platformdirs import user_cache_path, user_data_path
from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


def _check_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("an address begins with http:// or https:// and a host")
    return text.rstrip("/")


class Settings(BaseSettings):
    """What can be set from outside; each field is `FOOTNOTE_` and its name in capitals."""

    model_config = SettingsConfigDict(env_prefix="FOOTNOTE_", frozen=True, extra="ignore")

    home: Path | None = Field(None, description="Folder of the catalog and the vector index.")
    cache: Path | None = Field(None, description="Folder of the models' weights.")
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on.")
    public_url: Annotated[str, AfterValidator(_check_url)] | None = Field(
        None,
        description="The address that clients know this server by, where a proxy stands before it.",
    )
    model: str = Field(
        "local",
        description="`local`, `local:0.5b`, or any `provider:model` that LangChain knows.",
    )
    base_url: str | None = Field(
        None, description="An OpenAI-compatible server to ask for FOOTNOTE_MODEL instead."
    )
    api_key: SecretStr | None = Field(None, description="The key for FOOTNOTE_BASE_URL.")
    threads: int | None = Field(None, ge=1, description="Processor threads of the local model.")
    context_tokens: int = Field(4096, ge=1024, description="Window of the local model.")
    runtime: Literal["auto", "openvino", "llama.cpp"] = Field(
        "auto",
        description="What runs the local model: by default OpenVINO on a processor with VNNI, "
        "else llama.cpp.",
    )
    llama_server: Path | None = Field(
        None,
        description="A `llama-server` program to run the local model with; by default what "
        "`make native` built, else the installed xllamacpp.",
    )
    model_timeout: float = Field(120.0, gt=0, description="Seconds to wait for a model's answer.")
    queue: int = Field(16, ge=0, description="Questions that may wait for the model.")
    slots: int = Field(
        8, ge=1, description="Questions that a model other than `local` gets at once."
    )
    embedder: str = Field(
        "all-MiniLM-L6-v2",
        description="The shipped embedding model, or a folder or hub name of another.",
    )
    precision: Literal["auto", "bfloat16", "float32"] = Field(
        "auto", description="Arithmetic of the embedding model."
    )
    passages: int = Field(8, ge=1, le=50, description="Passages that evidence is taken from.")
    evidence_sentences: int | None = Field(
        None, ge=1, description="Sentences shown to the model; by default as the model can use."
    )
    evidence_characters: int | None = Field(
        None, ge=100, description="Their length at most; by default as the model can use."
    )
    risk: Literal["strict", "balanced", "open"] | Annotated[float, Field(ge=0, le=1)] = Field(
        "balanced", description="What answers may be given: by name, or the chance to be wrong."
    )
    max_question_characters: int = Field(2000, ge=10, description="A longer question is refused.")
    max_document_bytes: int = Field(50_000_000, ge=1, description="A larger file is refused.")

    @property
    def home_path(self) -> Path:
        """The data folder: the user's own unless `home` is set."""
        return (self.home or user_data_path("footnote")).expanduser().absolute()

    @property
    def cache_path(self) -> Path:
        """The weights folder: `cache`, or inside `home` where only that is set."""
        if self.cache is not None:
            return self.cache.expanduser().absolute()
        if self.home is not None:
            return self.home_path / "cache"
        return user_cache_path("footnote").absolute()
