"""Records that carry their own embedding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tsds_stream.embedding.base import Embedder, EmbedderError, EmbedResult, Failure
from tsds_stream.embedding.settings import PrecomputedSettings


class PrecomputedEmbedder(Embedder):
    """Embeds nothing: every text is a failure, because its record should have carried an `embedding`.

    The dimension comes from the settings, or from the first embedding that is shown to `adopt`.
    """

    def __init__(self, settings: PrecomputedSettings | None = None) -> None:
        self._settings = settings or PrecomputedSettings()
        self._dimension = self._settings.dimension

    @property
    def dimension(self) -> int:
        """d. Raises `EmbedderError` while neither the settings nor `adopt` has told it."""
        if self._dimension is None:
            raise EmbedderError(
                "The dimension of the precomputed embeddings is not known yet: set embedder.dimension, or give targets "
                "that carry an embedding."
            )
        return self._dimension

    def adopt(self, dimension: int) -> None:
        """Take the dimension of the first targets; raises `EmbedderError` when it contradicts what is known."""
        if self._dimension is not None and self._dimension != dimension:
            raise EmbedderError(
                f"An embedding has {dimension} numbers where {self._dimension} are expected: all documents and targets "
                "must come from the same model (and agree with embedder.dimension)."
            )
        self._dimension = dimension

    @property
    def fingerprint(self) -> str:
        """`precomputed:<name>-<d>`; the name is the only thing that tells two models of one dimension apart."""
        return f"precomputed:{self._settings.name}-{self.dimension}"

    @property
    def batch_independent(self) -> bool:
        return True

    def embed_all(self, texts: Sequence[str]) -> EmbedResult:
        failure = Failure(
            "precomputed",
            'The record carries no embedding and embedder.kind = "precomputed" computes none: add an `embedding` to '
            "every document and target, or configure another embedder.",
        )
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        return EmbedResult(vectors, dict.fromkeys(range(len(texts)), failure))

    def close(self) -> None:
        """Nothing is held."""
