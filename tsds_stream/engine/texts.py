"""Texts and metadata of held documents: kept while a selector may still publish them."""

from __future__ import annotations

from collections.abc import Sequence

from tsds_stream.engine.publisher import Body
from tsds_stream.engine.statistics import Statistics
from tsds_stream.logs import Log
from tsds_stream.payloads import Payload, PayloadStore
from tsds_stream.records import Document, Json

Pair = tuple[str, bytes]  # an id and the key of its point


class Texts:
    """The payload store as the engine uses it."""

    def __init__(self, store: PayloadStore, statistics: Statistics, log: Log) -> None:
        self._store = store
        self._statistics = statistics
        self._log = log
        if store.damage is not None:
            log.warning("payload store begun anew", reason=store.damage)

    def put(self, documents: Sequence[Document], keys: Sequence[bytes]) -> None:
        """Keep the bodies of held documents."""
        self._store.put(
            Payload(d.id, key, d.text, d.meta, d.tokens, d.timestamp, d.source)
            for d, key in zip(documents, keys, strict=True)
        )

    def bodies(self, ids: Sequence[str], keys: Sequence[bytes]) -> list[Body]:
        """Bodies of documents that are published; one without a text where it is no longer known."""
        found = self._store.get(zip(ids, keys, strict=True))
        missing = sum(payload is None for payload in found)
        if missing:
            self._statistics.missing_payloads += missing
            self._log.warning("texts missing", documents=missing)
        return [Body(None, {}, {}) if p is None else Body(p.text, p.meta, p.source) for p in found]

    def sync(self) -> Json:
        """Make everything durable that a checkpoint will rely on; a mark that the checkpoint keeps."""
        return self._store.sync()

    def lacks(self, mark: Json) -> str | None:
        """Why a checkpoint with this mark cannot be used, or None."""
        return self._store.lacks(mark)

    def collect(self, held: Sequence[Pair], checkpoint: int) -> None:
        """Drop what neither this checkpoint nor the one before needs; may be called from another thread."""
        self._store.collect(held, checkpoint)
