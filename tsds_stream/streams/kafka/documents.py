"""Records become documents, many at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter

from tsds_stream.codecs import Decoder
from tsds_stream.fields import RecordError
from tsds_stream.records import DeadLetter, Document, Json, Raw
from tsds_stream.streams.kafka.client import Record

_KEY, _VALUE, _HEADERS, _OFFSET, _TIME = map(attrgetter, ("key", "value", "headers", "offset", "timestamp"))


class DocumentReader:
    """Decodes the records of one topic.

    Args:
        max_document_bytes: a longer value is not even looked at.
        now: milliseconds since 1970.
    """

    def __init__(self, topic: str, decoder: Decoder, max_document_bytes: int, now: Callable[[], int]) -> None:
        self._topic = topic
        self._decoder = decoder
        self._longest = max_document_bytes
        self._now = now

    def read(self, runs: Sequence[tuple[int, Sequence[Record]]]) -> tuple[list[Document], list[DeadLetter], int]:
        """Documents, dead letters, and bytes of keys and values.

        Args:
            runs: (partition, consecutive records).
        """
        records: list[Record] = []
        sources: list[Json] = []
        for partition, run in runs:
            records += run
            topic = self._topic
            sources += [{"topic": topic, "partition": partition, "offset": offset} for offset in map(_OFFSET, run)]
        keys: list[bytes | None] = list(map(_KEY, records))
        values: list[bytes | Json | None] = list(map(_VALUE, records))
        lengths = [0 if value is None else len(value) for value in values]
        size = sum(lengths) + sum(map(len, filter(None, keys)))
        refused: list[tuple[int, RecordError]] = []
        if lengths and max(lengths) > self._longest:
            refused = [(i, self._too_large(length)) for i, length in enumerate(lengths) if length > self._longest]
        if refused:
            documents, errors = self._decode_others(records, keys, values, sources, {i for i, _ in refused})
            refused = sorted(refused + errors, key=lambda pair: pair[0])
        else:
            documents, refused = self._decoder.documents(values, keys, _times(records), sources)
        letters = [self._letter(records[i], sources[i], error) for i, error in refused]
        accepted = records
        if refused:
            out = {i for i, _ in refused}
            accepted = [record for i, record in enumerate(records) if i not in out]
        for document, record in zip(documents, accepted, strict=True):
            document.raw = _raw(record)
        return documents, letters, size

    def _decode_others(
        self,
        records: Sequence[Record],
        keys: Sequence[bytes | None],
        values: Sequence[bytes | Json | None],
        sources: Sequence[Json],
        left_out: set[int],
    ) -> tuple[list[Document], list[tuple[int, RecordError]]]:
        places = [i for i in range(len(records)) if i not in left_out]
        documents, errors = self._decoder.documents(
            [values[i] for i in places],
            [keys[i] for i in places],
            _times([records[i] for i in places]),
            [sources[i] for i in places],
        )
        return documents, [(places[i], error) for i, error in errors]

    def _too_large(self, length: int) -> RecordError:
        limit = self._longest
        return RecordError("too_large", f"the value has {length:,} bytes, source.max_document_bytes is {limit:,}")

    def _letter(self, record: Record, source: Json, error: RecordError) -> DeadLetter:
        key, value, headers = _raw(record)
        return DeadLetter(error.reason, error.detail, source, key, value, self._now(), headers)


def _times(records: Sequence[Record]) -> list[int | None]:
    return [None if time < 0 else time for time in map(_TIME, records)]


def _raw(record: Record) -> Raw:
    headers = record.headers
    # Headers without a value cannot be written again.
    kept = tuple([pair for pair in headers if pair[1] is not None]) if headers else ()
    return Raw(record.key, record.value, kept)  # type: ignore[arg-type]
