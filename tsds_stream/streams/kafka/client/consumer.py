"""Reading."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, cast

from kafka import KafkaConsumer

from tsds_stream.streams.kafka.client.failures import explained, where
from tsds_stream.streams.kafka.client.header_names import read_any_header_name
from tsds_stream.streams.kafka.client.making import made_whole
from tsds_stream.streams.kafka.client.options import foreign, milliseconds
from tsds_stream.streams.kafka.client.parking import drop_what_failed, free_the_slot, let_go_of_the_rest
from tsds_stream.streams.kafka.client.receiving import read_more_at_once
from tsds_stream.streams.kafka.client.types import Mark, Record
from tsds_stream.streams.kafka.connection import Connection
from tsds_stream.streams.kafka.errors import Partition, Unreachable

read_more_at_once()
read_any_header_name()

_PAUSE: Final = 0.2  # seconds between two tries


class Consumer:
    """Reads partitions that it is told to, from offsets that it is told; never moves by itself, never commits.

    Args:
        group_id: whose committed offsets `committed` tells.
        committed_only: leave out what belongs to open or aborted transactions.
    """

    def __init__(self, connection: Connection, *, group_id: str | None = None, committed_only: bool = True) -> None:
        with made_whole(connection) as options:
            self._client = KafkaConsumer(
                **options,
                group_id=group_id,
                enable_auto_commit=False,
                isolation_level="read_committed" if committed_only else "read_uncommitted",
                auto_offset_reset="none",
                max_poll_records=2000,  # 500 costs a third of the throughput
                retry_backoff_ms=10,  # a poll between two fetches sleeps for so long: 100 cost a tenth of the speed
                fetch_max_wait_ms=100,  # an idle partition would hold up the others for half a second
                receive_buffer_bytes=1024 * 1024,
                allow_auto_create_topics=False,
            )
        self._connection = connection

    def assign(self, offsets: Mapping[Partition, int]) -> None:
        """Read these partitions from these offsets on, and no others."""
        with explained("assign partitions", self._connection):
            self._client.assign([foreign(partition) for partition in offsets])
            for partition, offset in offsets.items():
                self._client.seek(foreign(partition), offset)

    def seek(self, partition: Partition, offset: int) -> None:
        """Go on at `offset`."""
        self._client.seek(foreign(partition), offset)

    def poll(self, timeout: float, limit: int) -> Mapping[Partition, list[Record]]:
        """At most `limit` records, waiting at most `timeout` seconds for the first; nothing while no broker answers.

        Raises:
            OutOfRange: positions that the log does not hold; they stay as they are.
        """
        free_the_slot(self._client)
        failed = True
        try:
            with explained("read records", self._connection):
                records = self._client.poll(timeout_ms=int(timeout * 1000), max_records=limit)
            failed = False
        finally:
            drop_what_failed(self._client, failed=failed)
        return cast("Mapping[Partition, list[Record]]", records)

    def position(self, partition: Partition) -> int:
        """Of the next record; it moves over what transactions leave in a log without being records."""
        with explained("tell a position", self._connection):
            position = self._client.position(
                foreign(partition), timeout_ms=milliseconds(self._connection.request_timeout)
            )
        if position is None:
            raise Unreachable(f"The position in {partition} is not known: {where(self._connection)} does not answer.")
        return int(position)

    def offset(self, partition: Partition) -> int:
        """The position as far as it is known here; asks nobody and never waits, unlike `position`."""
        return int(self._client._subscription.assignment[foreign(partition)].position.offset)

    def high_water(self, partition: Partition) -> int | None:
        """The end of a partition as the last answer had it; asks nobody."""
        found = self._client.highwater(foreign(partition))
        return None if found is None else int(found)

    def pause(self, partitions: Iterable[Partition]) -> None:
        """Read no more of these until `resume`."""
        self._client.pause(*map(foreign, partitions))

    def resume(self, partitions: Iterable[Partition]) -> None:
        """Read these again."""
        self._client.resume(*map(foreign, partitions))

    def partitions(self, topic: str) -> list[int]:
        """Of a topic, as known since a few seconds ago at most; empty: there is no such topic."""
        with explained(f"look up the partitions of {topic!r}", self._connection):
            return sorted(self._client.partitions_for_topic(topic) or ())

    def glimpse(self, topic: str) -> tuple[str, list[int]]:
        """Id and partitions of a topic as the brokers told a few seconds ago; asks nobody. Empty: they did not."""
        cluster = self._client._cluster
        return str(cluster.topic_id(topic) or ""), sorted(cluster.partitions_for_topic(topic) or ())

    def beginnings(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The first offset that each log holds."""
        with explained("look up where logs begin", self._connection):
            return self._offsets(self._client.beginning_offsets, partitions)

    def ends(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The offset after the last record of each log that this consumer may read."""
        with explained("look up where logs end", self._connection):
            return self._offsets(self._client.end_offsets, partitions)

    def committed(self, partitions: Iterable[Partition]) -> dict[Partition, Mark]:
        """What is committed for the group; partitions without are left out.

        Ask only after `Producer.init_transactions`: while a transaction is open, this would block until it times out.
        """
        found = {}
        with explained("read committed offsets", self._connection):
            for partition in partitions:
                mark = self._client.committed(
                    foreign(partition), metadata=True, timeout_ms=milliseconds(self._connection.request_timeout)
                )
                if mark is not None:
                    found[partition] = Mark(int(mark.offset), mark.metadata or "")
        return found

    def close(self) -> None:
        """Let go of all connections."""
        self._client.close(autocommit=False, timeout_ms=1000)
        let_go_of_the_rest(self._client)

    def _offsets(
        self, ask: Callable[[list[Any]], Mapping[Any, int]], partitions: Iterable[Partition]
    ) -> dict[Partition, int]:
        asked = [foreign(partition) for partition in partitions]
        deadline = time.monotonic() + self._connection.request_timeout
        while asked:
            try:
                return {Partition(*partition): int(offset) for partition, offset in ask(asked).items()}
            except KeyError as error:  # a partition that is so new that this client has not heard of it
                if time.monotonic() > deadline:
                    raise Unreachable(f"The brokers do not tell the offsets of {error}.") from error
                time.sleep(_PAUSE)
        return {}
