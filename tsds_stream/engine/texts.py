"""Texts and metadata of held documents: kept while a selector may still publish them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import orjson

from tsds_stream.engine.publisher import Body
from tsds_stream.engine.statistics import Statistics
from tsds_stream.logs import Log
from tsds_stream.payloads import Payload, PayloadStore
from tsds_stream.records import Document, Json
from tsds_stream.selection.selector import Selector

_MOST_WAITING = 65_536  # documents
_MOST_CHARACTERS = 64 * 2**20

Pair = tuple[str, bytes]  # an id and the key of its point


class Texts:
    """The payload store as the engine uses it.

    What arrived lately waits in memory until a checkpoint needs it or there is too much of it: while shortlists fill,
    half of the documents that enter leave again before that, and are never written. A crash loses nothing, because what
    came after the last checkpoint is read again.
    """

    def __init__(self, store: PayloadStore, statistics: Statistics, log: Log) -> None:
        self.selectors: Sequence[Selector] = ()  # whose documents are kept; once they are restored
        self._store = store
        self._statistics = statistics
        self._log = log
        self._waiting: dict[Pair, Payload] = {}
        self._size = 0  # characters of texts and metadata that wait
        if store.damage is not None:
            log.warning("payload store begun anew", reason=store.damage)

    def put(self, documents: Sequence[Document], keys: Sequence[bytes]) -> None:
        """Keep the bodies of held documents."""
        for d, key in zip(documents, keys, strict=True):
            self._waiting[d.id, key] = Payload(d.id, key, d.text, d.meta, d.tokens, d.timestamp, d.source)
            self._size += len(d.text or "") + (len(orjson.dumps(d.meta)) if d.meta else 0)
        if len(self._waiting) > _MOST_WAITING or self._size > _MOST_CHARACTERS:
            self._write()

    def _write(self) -> None:
        """Move what waits, and is still held, to the store."""
        names = list({name for name, _ in self._waiting})
        held = np.zeros(len(names), np.bool_)
        for selector in self.selectors:
            held |= selector.holds(names, waiting=True)
        kept = {name for name, still in zip(names, held.tolist(), strict=True) if still}
        self._store.put(payload for (name, _), payload in self._waiting.items() if name in kept)
        self._waiting.clear()
        self._size = 0

    def bodies(self, ids: Sequence[str], keys: Sequence[bytes]) -> list[Body]:
        """Bodies of documents that are published; one without a text where it is no longer known."""
        pairs = list(zip(ids, keys, strict=True))
        stored = [pair for pair in pairs if pair not in self._waiting]
        known = dict(zip(stored, self._store.get(stored), strict=True))
        found = [self._waiting.get(pair) or known.get(pair) for pair in pairs]
        missing = sum(payload is None for payload in found)
        if missing:
            self._statistics.missing_payloads += missing
            self._log.warning("texts missing", documents=missing)
        return [Body(None, {}, {}) if p is None else Body(p.text, p.meta, p.source) for p in found]

    def sync(self) -> Json:
        """Make everything durable that a checkpoint will rely on; a mark that the checkpoint keeps."""
        self._write()
        return self._store.sync()

    def lacks(self, mark: Json) -> str | None:
        """Why a checkpoint with this mark cannot be used, or None."""
        return self._store.lacks(mark)

    def collect(self, held: Sequence[Pair], checkpoint: int) -> None:
        """Drop what neither this checkpoint nor the one before needs; may be called from another thread."""
        self._store.collect(held, checkpoint)
