"""Sentence-transformers models on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from tsds_stream.embedding.base import Embedder, EmbedderError, EmbedResult, Failure, Float32
from tsds_stream.embedding.settings import TransformerSettings
from tsds_stream.embedding.text import EMPTY, is_blank, valid_unicode

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

CHARACTERS_PER_TOKEN: Final = 16  # the tokenizer sees no more: a huge text costs no more than a long one
_LONGEST: Final = 8192  # tokens; for models that state no limit of their own


class TransformerEmbedder(Embedder):
    """Vectors of a sentence-transformers model; (n, d) float32 of unit length.

    Truncation: the first 16 · L characters of a text are tokenised, then the model's own rule keeps L tokens, where L
    is `max_tokens` or what the model states. The same text may get slightly different bits in another batch.

    Raises:
        EmbedderError: the extra is not installed, or the model cannot be found or loaded.
    """

    def __init__(self, settings: TransformerSettings | None = None) -> None:
        self._settings = s = settings or TransformerSettings()
        self._model: SentenceTransformer | None = _load(s)
        if s.max_tokens is not None:
            self._model.max_seq_length = s.max_tokens
        self._limit = (self._model.max_seq_length or _LONGEST) * CHARACTERS_PER_TOKEN
        self._dimension = int(self._encode(["."]).shape[1])
        self._fingerprint = f"transformer:{Path(s.model).name}-{self._dimension}:{_hash(self._model, s)}"

    @property
    def dimension(self) -> int:
        return self._dimension

    @property
    def fingerprint(self) -> str:
        """`transformer:<name>-<d>:` and a hash of the model's files (or hub name and commit), prompt and truncation."""
        return self._fingerprint

    @property
    def batch_independent(self) -> bool:
        return False

    def embed_all(self, texts: Sequence[str]) -> EmbedResult:
        result = EmbedResult(np.zeros((len(texts), self._dimension), np.float32))
        usable: dict[int, str] = {}
        for i, text in enumerate(texts):
            cut = valid_unicode(text[: self._limit])
            if is_blank(cut):
                result.failures[i] = EMPTY
            else:
                usable[i] = cut
        if usable:
            vectors = self._encode(list(usable.values()))
            good = np.logical_and(np.isfinite(vectors).all(1), vectors.any(1))
            for i, vector, fine in zip(usable, vectors, good.tolist(), strict=True):
                if fine:
                    result.vectors[i] = vector
                else:
                    result.failures[i] = Failure("non_finite", "The model's vector is zero or not finite.")
        return result

    def _encode(self, texts: list[str]) -> Float32:
        if self._model is None:
            raise EmbedderError("The embedder is closed.")
        vectors = self._model.encode(  # sorts by length itself
            texts,
            prompt=self._settings.prompt or None,
            batch_size=self._settings.batch_size,
            show_progress_bar=False,
            convert_to_numpy=True,
            normalize_embeddings=True,
        )
        return np.asarray(vectors, np.float32)

    def close(self) -> None:
        """Let go of the model."""
        self._model = None


def _load(settings: TransformerSettings) -> SentenceTransformer:
    try:
        from sentence_transformers import SentenceTransformer  # takes seconds: only those who use it pay
    except ImportError as error:
        raise EmbedderError(
            'embedder.kind = "transformer" needs sentence-transformers: install tsds-stream with its '
            'extra "transformer" (in a clone: pip install ".[transformer]").'
        ) from error
    try:
        return SentenceTransformer(
            settings.model,
            device=None if settings.device == "auto" else settings.device,
            revision=settings.revision,
            local_files_only=settings.local_files_only or Path(settings.model).is_dir(),
        )
    except (OSError, ValueError, RuntimeError) as error:
        first_line = next(iter(str(error).splitlines()), type(error).__name__)
        raise EmbedderError(
            f"The model {settings.model!r} cannot be loaded on device {settings.device!r}: {first_line} "
            "(embedder.model is a local folder or a name on the model hub)"
        ) from error


def _hash(model: SentenceTransformer, settings: TransformerSettings) -> str:
    """Hex hash of what decides a vector, apart from the device and the batch; new library versions do not change it."""
    digest = blake2b(digest_size=6)
    folder = Path(settings.model)
    if folder.is_dir():
        for path in sorted(p for p in folder.rglob("*") if p.is_file() and _decides(p.relative_to(folder))):
            digest.update(repr((path.relative_to(folder).as_posix(), path.stat().st_size)).encode())
            with path.open("rb") as file:
                while block := file.read(2**20):
                    digest.update(block)
    else:
        digest.update(repr((settings.model, _commit(settings))).encode())
    digest.update(repr((model.max_seq_length, CHARACTERS_PER_TOKEN, settings.prompt)).encode())
    return digest.hexdigest()


def _commit(settings: TransformerSettings) -> str | None:
    """The commit of a hub model, as the local cache knows it; else the revision that was asked for."""
    from huggingface_hub import try_to_load_from_cache  # comes with sentence-transformers

    path = try_to_load_from_cache(settings.model, "config.json", revision=settings.revision)
    return Path(path).parent.name if isinstance(path, str) else settings.revision


def _decides(path: Path) -> bool:
    """Whether a file of a model folder has a say in its vectors: not its documentation, not its copies for others."""
    hidden = any(part.startswith(".") for part in path.parts)
    return not hidden and path.suffix != ".md" and path.parts[0] not in ("onnx", "openvino")
