"""The documents topic as an auditor reads it: each partition from where the stream began."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from tsds_stream.streams.base import Batch, Positions
from tsds_stream.streams.kafka.documents import DocumentReader
from tsds_stream.streams.kafka.positions import KafkaPositions, is_kafka
from tsds_stream.verification.evidence import Place
from tsds_stream.verification.reading import TopicReader
from tsds_stream.verification.topic_steps import gone_back, told_between


class TopicLog:
    """The `DocumentLog` of a topic.

    Args:
        topic_id: that the topic has now.
        newest: the newest positions that were published: what they say of the beginning holds for all.
        thinned: see `DocumentLog`.
        explained: turns failures of brokers into errors of a source.
    """

    def __init__(
        self,
        reader: TopicReader,
        topic_id: str,
        documents: DocumentReader,
        newest: Positions | None,
        thinned: str,
        explained: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._reader = reader
        self._explained = explained
        self.thinned = thinned
        self._topic_id = topic_id
        self._documents = documents
        self._began = dict(KafkaPositions.of(newest).began) if newest is not None and is_kafka(newest) else {}
        self._ends = reader.ends()
        reader.start({number: offset for number, offset in self._began.items() if number in reader.beginnings})

    def unreadable(self, positions: Positions) -> str | None:
        topic = self._reader.topic
        if not is_kafka(positions):
            return "what is published was read from files, and the configuration says Kafka"
        told = KafkaPositions.of(positions)
        if told.topic != topic:
            return f"the documents were read from topic {told.topic!r}, and the configuration says {topic!r}"
        if told.topic_id != self._topic_id:
            return f"topic {topic!r} was deleted and made again since: its documents are not there any more"
        if told.gaps:
            lost = ", ".join(f"partition {gap['partition']} from {gap['from']} to {gap['to']}" for gap in told.gaps)
            return f"gaps in topic {topic!r} were accepted, so that records are missing: {lost}"
        for partition, began in sorted(told.began.items()):
            later = self._began.get(partition)
            if later != began:
                return f"partition {partition} of {topic!r} was begun at {began}, and later at {later}"
            first, end = self._reader.beginnings.get(partition), self._ends.get(partition, 0)
            if first is None:
                return f"topic {topic!r} has no partition {partition} any more"
            if first > began and told.documents.get(partition, 0) > began:
                return (
                    f"partition {partition} of {topic!r} begins at {first:,}, and its documents were read from "
                    f"{began:,} on: {first - began:,} offsets were deleted by retention"
                )
            if told.documents.get(partition, 0) > end:
                return (
                    f"partition {partition} of {topic!r} ends at {end:,}, and its documents were read up to "
                    f"{told.documents[partition]:,}: records that had been acknowledged are lost"
                )
        return None

    def progress(self, positions: Positions) -> Any:
        return sum(KafkaPositions.of(positions).documents.values()) if is_kafka(positions) else 0

    def told_between(self, before: Positions, after: Positions) -> str | None:
        return told_between(before, after)

    def gone_back(self, before: Positions, after: Positions) -> str | None:
        return gone_back(before, after)

    def amount(self, positions: Positions) -> int | None:
        told = KafkaPositions.of(positions)
        return sum(offset - self._began.get(partition, 0) for partition, offset in told.documents.items())

    def covers(self, place: Place) -> bool:
        return place.name == self._reader.topic and self._began.get(
            place.partition, 1 << 62
        ) <= place.offset < self._reader.positions.get(place.partition, 0)

    def batches(self, until: Positions) -> Iterator[Batch]:
        told = KafkaPositions.of(until)
        with self._explained():
            for runs in self._reader.read(told.documents):
                documents, letters, size = self._documents.read(sorted(runs.items()))
                for document in documents:
                    document.raw = None
                yield Batch(documents, letters, until, size)

    def close(self) -> None:
        """The reader is closed by who made it."""
