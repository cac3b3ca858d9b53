"""The settings of each kind of embedder: option, type, default and meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tsds_stream.selection.arithmetic import MAX_DIMENSION

Dimension = Annotated[int, Field(ge=1, le=MAX_DIMENSION)]


class _Settings(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False, protected_namespaces=()
    )


class StaticSettings(_Settings):
    """Averaged token vectors that come with an installed package: no download, no torch, fast."""

    kind: Literal["static"] = "static"
    max_tokens: Annotated[int, Field(ge=1)] | None = Field(
        2048, description="only the first so many tokens of a text count (and 8 characters for each); none: all of it"
    )


class TransformerSettings(_Settings):
    """A sentence-transformers model on this machine; needs the extra `transformer`."""

    kind: Literal["transformer"] = "transformer"
    model: str = Field(
        "sentence-transformers/all-MiniLM-L6-v2", min_length=1, description="a local folder or a name on the model hub"
    )
    revision: str | None = Field(None, description="commit or tag of a hub model; give one to be reproducible")
    local_files_only: bool = Field(False, description="never download; the model must be in the local cache")
    prompt: str = Field("", description='put in front of every text, for example "passage: "')
    device: str = Field("auto", min_length=1, description='"auto", "cpu", "cuda", "cuda:1", "mps"')
    max_tokens: Annotated[int, Field(ge=1)] | None = Field(
        None, description="texts are cut after so many tokens; none: what the model states"
    )
    batch_size: int = Field(32, ge=1, description="texts per forward pass; texts are sorted by length first")


class HttpSettings(_Settings):
    """An embedding server: text-embeddings-inference, or anything that speaks the OpenAI embeddings interface."""

    kind: Literal["http"] = "http"
    url: str = Field(description="http(s)://host[:port][/path]; no path: /embed (tei) or /v1/embeddings (openai)")
    api: Literal["tei", "openai"] = Field("tei", description="the protocol that the server speaks")
    model: str | None = Field(None, min_length=1, description="name of the model; api = openai needs it")
    dimension: Dimension | None = Field(None, description="length of the vectors; none: asked of the server once")
    prompt: str = Field("", description="put in front of every text")
    api_key_env: str | None = Field(None, min_length=1, description="environment variable that holds the key")
    api_key_file: Path | None = Field(None, description="file that holds the key")
    batch_size: int = Field(32, ge=1, description="texts per request")
    batch_tokens: int = Field(16_384, ge=1, description="estimated tokens (UTF-8 bytes / 4) per request")
    max_tokens: int = Field(
        8192, ge=1, description="a text is cut to so many estimated tokens (UTF-8 bytes / 4) before it is sent"
    )
    timeout: float = Field(30.0, gt=0, description="seconds for one request, to the last byte of its answer")
    retries: int = Field(3, ge=0, description="further attempts after 429, 5xx and connection errors")
    backoff: float = Field(0.5, gt=0, description="seconds; the n-th wait is random up to backoff x 2^n")
    backoff_limit: float = Field(30.0, gt=0, description="seconds; the longest wait between attempts")
    breaker_failures: int = Field(5, ge=1, description="attempts that fail in a row before the server is left alone")
    breaker_pause: float = Field(10.0, gt=0, description="seconds without requests before one is tried again")

    @field_validator("url")
    @classmethod
    def _plain_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(
                f"must look like http://host:port or https://host/path, not {parts.scheme or 'nothing'}://"
            )
        if parts.username is not None or parts.password is not None:
            raise ValueError("must not hold a user or password; use api_key_env or api_key_file")
        _ = parts.port  # raises ValueError with a reason of its own
        return url

    @model_validator(mode="after")
    def _consistent(self) -> HttpSettings:
        problems = []
        if self.api == "openai" and self.model is None:
            problems.append('api = "openai" needs model')
        if self.api_key_env is not None and self.api_key_file is not None:
            problems.append("give api_key_env or api_key_file, not both")
        if problems:
            raise ValueError("; ".join(problems))
        return self


class PrecomputedSettings(_Settings):
    """Every document and target carries its own `embedding`; nothing is computed."""

    kind: Literal["precomputed"] = "precomputed"
    name: str = Field(
        "unnamed", pattern=r"^[A-Za-z0-9_./@-]+$", description="whatever names the model that made the vectors"
    )
    dimension: Dimension | None = Field(None, description="length of the vectors; none: that of the first target")


class HashingSettings(_Settings):
    """Hashed byte n-grams: no model at all; for any language, code or bytes."""

    kind: Literal["hashing"] = "hashing"
    dimension: Dimension = Field(512, description="number of buckets")
    min_n: int = Field(1, ge=1, le=4, description="shortest n-gram, in UTF-8 bytes")
    max_n: int = Field(4, ge=1, le=4, description="longest n-gram, in UTF-8 bytes")
    max_bytes: Annotated[int, Field(ge=1)] | None = Field(
        65_536, description="only the first so many UTF-8 bytes of a text count; none: all of it"
    )

    @model_validator(mode="after")
    def _consistent(self) -> HashingSettings:
        if self.min_n > self.max_n:
            raise ValueError(f"min_n must not exceed max_n, got {self.min_n} and {self.max_n}")
        return self


EmbedderSettings = Annotated[
    StaticSettings | TransformerSettings | HttpSettings | PrecomputedSettings | HashingSettings,
    Field(discriminator="kind"),
]
