"""From decoded records to vectors: who needs the embedder, who brings a vector, and who cannot be used."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
import orjson
from numpy.typing import NDArray

from tsds_stream.embedding.base import Embedder, EmbedderUnavailable, EmbedResult
from tsds_stream.engine.clock import Clock
from tsds_stream.engine.statistics import Statistics
from tsds_stream.engine.stop import Stop
from tsds_stream.logs import Log
from tsds_stream.records import DeadLetter, Document, Json
from tsds_stream.streams.base import Batch, Positions

_LONGEST_WAIT = 30.0  # seconds between two tries of an embedder that is out


@dataclass(slots=True)
class Prepared:
    """A batch that is ready for the selectors.

    Attributes:
        documents: usable records in stream order, retractions among them.
        embeddings: (n, d) float32, one row per document; rows of retractions are not to be read.
        dead_letters: records of the batch that cannot be used.
        positions: of the stream after the batch.
        size: bytes.
        taken: milliseconds; when it was taken from the source.
    """

    documents: list[Document]
    embeddings: NDArray[np.float32]
    dead_letters: list[DeadLetter]
    positions: Positions
    size: int
    taken: int


def dead_letter(document: Document, reason: str, detail: str, now: int) -> DeadLetter:
    """A dead letter for a record that was decoded: the original where it is kept, else written anew as JSON."""
    if document.raw is not None:
        key, original, headers = document.raw
        return DeadLetter(reason, detail, document.source, key, original, now, headers)
    value: Json = {"id": document.id, "text": document.text, "tokens": document.tokens, "timestamp": document.timestamp}
    if document.text is None and document.embedding is not None:
        value["embedding"] = document.embedding.tolist()
    if document.meta:
        value["meta"] = document.meta
    return DeadLetter(
        reason=reason,
        detail=detail,
        source=document.source,
        key=document.id.encode("utf-8", "surrogatepass"),
        value=orjson.dumps({name: item for name, item in value.items() if item is not None}),
        created=now,
    )


class GivenUpError(Exception):
    """The engine was asked to leave while the embedder was out."""


class Preparer:
    """Embeds the texts of batches; one instance may serve several threads, the embedder serves one at a time.

    Args:
        stop: whoever waits for the embedder gives up when the engine is asked to leave.
    """

    def __init__(
        self,
        embedder: Embedder,
        clock: Clock,
        statistics: Statistics,
        log: Log,
        stop: Stop,
    ) -> None:
        self._embedder = embedder
        self._clock = clock
        self._statistics = statistics
        self._log = log
        self._stop = stop
        self._one_at_a_time = threading.Lock()

    def prepare(self, batch: Batch) -> Prepared:
        """Vectors for every usable document of `batch`. Raises as `embed_patiently`."""
        documents = batch.documents
        taken = self._clock.now()
        letters = list(batch.dead_letters)
        texts = [i for i, d in enumerate(documents) if d.embedding is None and not d.deleted]
        vectors, unusable = self._embed([documents[i].text or "" for i in texts])
        failed = {texts[i]: failure for i, failure in unusable.items()}
        if len(texts) < len(documents):
            vectors, misfits = self._merge(documents, texts, vectors)
            failed.update(misfits)
        if failed:
            now = self._clock.now()
            letters += [dead_letter(documents[i], *failed[i], now) for i in sorted(failed)]
            good = [i for i in range(len(documents)) if i not in failed]
            documents, vectors = [documents[i] for i in good], vectors[good]
        return Prepared(documents, vectors, letters, batch.positions, batch.size, taken)

    def _embed(self, texts: list[str]) -> tuple[NDArray[np.float32], dict[int, tuple[str, str]]]:
        if not texts:
            return np.zeros((0, self._embedder.dimension), np.float32), {}
        result = self.embed_patiently(texts)
        self._statistics.embedded += len(texts)
        return result.vectors, {i: (failure.reason, failure.detail) for i, failure in result.failures.items()}

    def embed_patiently(self, texts: list[str]) -> EmbedResult:
        """`embed_all`, tried again for as long as the embedder is out: that is no fault of any document.

        Raises:
            GivenUpError: the engine was asked to leave meanwhile.
            EmbedderError: the embedder cannot work as configured.
        """
        out = False
        while True:
            try:
                with self._one_at_a_time:
                    started = self._clock.monotonic()
                    result = self._embedder.embed_all(texts)
                    self._statistics.stages["embed"].observe(self._clock.monotonic() - started)
            except EmbedderUnavailable as error:
                if not out:
                    self._log.warning("embedder unavailable", error=str(error), retry_after=error.retry_after)
                    self._statistics.embedder_outages += 1
                    self._statistics.embedder_out = self._clock.now()
                out = True
                self._statistics.embedder_error = str(error)
                if self._stop.wait(min(error.retry_after, _LONGEST_WAIT)):
                    raise GivenUpError from error
            else:
                if out:
                    self._statistics.embedder_out, self._statistics.embedder_error = 0, None
                    self._log.info("embedder available again")
                return result

    def _merge(
        self, documents: list[Document], texts: list[int], embedded: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], dict[int, tuple[str, str]]]:
        """Vectors in the order of the documents, with those that records brought; and the ones that do not fit."""
        dimension = self._embedder.dimension
        misfits: dict[int, tuple[str, str]] = {}
        brought: list[int] = []
        for i, document in enumerate(documents):
            if document.embedding is None or document.deleted:
                continue
            if document.embedding.shape == (dimension,):
                brought.append(i)
            else:
                misfits[i] = (
                    "embedding",
                    f"the embedding has shape {document.embedding.shape}, and ({dimension},) is expected",
                )
        vectors = np.zeros((len(documents), dimension), np.float32)
        vectors[texts] = embedded
        if brought:
            vectors[brought] = np.array([documents[i].embedding for i in brought], np.float32)
        return vectors, misfits
