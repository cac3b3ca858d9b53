"""The embedder protocol: texts in, vectors out, and what an embedder says when it cannot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]


class Failure(NamedTuple):
    """Why one text has no vector."""

    reason: str  # a short code for dead letters: "empty", "refused", "non_finite", "zero", "precomputed"
    detail: str  # a sentence


@dataclass(slots=True)
class EmbedResult:
    """Vectors of a list of texts, and the positions of those that have none."""

    vectors: Float32  # (n, d); the row of a failed text is zero
    failures: dict[int, Failure] = field(default_factory=dict)  # position in the call -> why


class EmbedderError(Exception):
    """The embedder cannot work as configured; the message says what is wrong and what to do."""


class EmbedderUnavailable(EmbedderError):  # noqa: N818 -- named for what happened
    """A temporary outage: ask again after `retry_after` seconds. Nothing is wrong with the texts."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[type[EmbedderUnavailable], tuple[str, float]]:
        return type(self), (str(self), self.retry_after)  # the default would leave out `retry_after`


class EmbeddingFailed(EmbedderError):  # noqa: N818 -- named for what happened
    """`embed` was given texts that have no vector; `failures` maps their positions to the reasons."""

    def __init__(self, failures: dict[int, Failure]) -> None:
        position, failure = min(failures.items())
        more = f" ({len(failures) - 1} more failed)" if len(failures) > 1 else ""
        super().__init__(f"text {position} has no embedding ({failure.reason}): {failure.detail}{more}")
        self.failures = failures

    def __reduce__(self) -> tuple[type[EmbeddingFailed], tuple[dict[int, Failure]]]:
        return type(self), (self.failures,)  # the default would give the message instead


class FingerprintMismatch(EmbedderError):  # noqa: N818 -- named for what happened
    """Stored vectors were made by another embedder than the configured one."""


class Embedder(Protocol):
    """Turns texts into vectors. One thread at a time may use an embedder.

    An implementation subclasses this and writes `embed_all`, the properties and, where it holds something, `close`.
    """

    @property
    def dimension(self) -> int:
        """d, the length of every vector."""

    @property
    def fingerprint(self) -> str:
        """Short and stable; equal fingerprints mean equal vectors (up to `batch_independent`) for equal texts."""

    @property
    def batch_independent(self) -> bool:
        """True: a text gets the same bits alone, in any batch and in any order. False: only nearly the same."""

    def embed_all(self, texts: Sequence[str]) -> EmbedResult:
        """Embed what can be embedded. A bad text is an entry of `failures`, never an exception.

        Every row without a failure is finite and not zero. Lone surrogates count as U+FFFD.

        Raises:
            EmbedderUnavailable: a temporary outage; no text is to blame.
            EmbedderError: the embedder cannot work as configured.
        """

    def embed(self, texts: Sequence[str]) -> Float32:
        """(n, d) float32 vectors of `texts`.

        Raises:
            EmbeddingFailed: at least one text has no vector.
            EmbedderUnavailable, EmbedderError: as `embed_all`.
        """
        result = self.embed_all(texts)
        if result.failures:
            raise EmbeddingFailed(result.failures)
        return result.vectors

    def close(self) -> None:
        """Let go of connections and memory. Safe to call twice."""


def check_fingerprint(stored: str, current: str) -> None:
    """Refuse to mix vectors of two embedders.

    Raises:
        FingerprintMismatch: `stored` (of a checkpoint or revision) is not `current` (of the configured embedder).
    """
    if stored != current:
        raise FingerprintMismatch(
            f"The stored state was made with the embedder {stored!r}, but the configured one is {current!r}; vectors "
            "of different embedders cannot be compared. Configure the old embedder again, or start afresh with an "
            "empty state directory so that the stream is embedded again from its beginning."
        )
