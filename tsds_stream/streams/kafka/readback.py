"""Reading topics back: to their end as it is now, or a single record."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from tsds_stream.streams.kafka.client import Consumer, Record
from tsds_stream.streams.kafka.errors import KafkaFailure, OutOfRange, Partition, Unreachable
from tsds_stream.streams.kafka.following import partitions_of

_POLL: Final = 0.25  # seconds
_RECORDS: Final = 2000  # per poll
_PAUSE: Final = 0.02  # seconds between two looks


class Unsettled(KafkaFailure):
    """A transaction of somebody else is open, and what was committed after it cannot be read yet."""


def nothing() -> None:
    """No report of progress is wanted."""


def read_to_end(
    consumer: Consumer,
    topic: str,
    apply: Callable[[Record], None],
    *,
    patience: float = 30.0,
    progress: Callable[[], None] = nothing,
) -> dict[int, int]:
    """Apply every committed record of a topic up to where it ends now. Holds no more than one poll in memory.

    Args:
        consumer: one that leaves out what is not committed; its assignment is replaced.
        patience: seconds without any progress after which to give up.
        progress: called after every poll that moved.

    Returns:
        By partition: the offset up to which it was read.

    Raises:
        KafkaFailure: there is no such topic, or nothing is heard from it any more.
    """
    ends = consumer.ends(partitions_of(consumer, topic))
    for records in batches_to(consumer, ends, patience=patience, progress=progress):
        for record in records:
            apply(record)
    return {partition.partition: end for partition, end in ends.items()}


def batches_to(
    consumer: Consumer,
    ends: Mapping[Partition, int],
    *,
    patience: float = 30.0,
    progress: Callable[[], None] = nothing,
) -> Iterator[list[Record]]:
    """The committed records before these offsets, from the beginning; see `read_to_end`. Some after them may come, too.

    Raises:
        KafkaFailure: nothing is heard any more.
    """
    at = consumer.beginnings(ends)
    consumer.assign(at)
    moved = time.monotonic()
    left = {partition for partition in ends if at[partition] < ends[partition]}
    while left:
        try:
            yield from consumer.poll(_POLL, _RECORDS).values()
        except OutOfRange:  # the beginning of the log has moved meanwhile
            for partition, beginning in consumer.beginnings(left).items():
                if consumer.position(partition) < beginning:
                    consumer.seek(partition, beginning)
        now = {partition: consumer.position(partition) for partition in left}
        if any(now[partition] != at[partition] for partition in left):
            moved = time.monotonic()
            progress()
        elif time.monotonic() - moved > patience:
            stuck = ", ".join(f"{one} at {now[one]} of {ends[one]}" for one in sorted(left))
            raise Unreachable(f"Nothing more came for {patience:.0f} seconds, but the topic goes on: {stuck}.")
        at.update(now)
        # The position moves over what is no record: aborted transactions, and holes that compaction left.
        left = {partition for partition in left if at[partition] < ends[partition]}


def read_one(consumer: Consumer, partition: Partition, offset: int, *, patience: float = 30.0) -> Record | None:
    """The record at an offset; None: the log does not hold it.

    Raises:
        KafkaFailure: nothing is heard from the topic.
    """
    consumer.assign({partition: offset})
    began = time.monotonic()
    while time.monotonic() - began < patience:
        try:
            found = [record for records in consumer.poll(_POLL, 1).values() for record in records]
        except OutOfRange:
            return None
        if found:
            return found[0] if found[0].offset == offset else None
        if consumer.position(partition) > offset:
            return None
    raise Unreachable(f"The record at offset {offset} of {partition} did not come in {patience:.0f} seconds.")


def await_settled(
    consumer: Consumer,
    everything: Consumer,
    topic: str,
    *,
    patience: float,
    progress: Callable[[], None] = nothing,
) -> None:
    """Wait until no transaction is open that was open before the call: behind one, committed records are invisible.

    Args:
        consumer: one that leaves out what is not committed.
        everything: one that does not.

    Raises:
        Unsettled: it lasts longer than `patience` seconds.
    """
    partitions = partitions_of(consumer, topic)
    written = everything.ends(partitions)
    began = time.monotonic()
    while open_ones := _behind(consumer.ends(partitions), written):
        if time.monotonic() - began > patience:
            raise Unsettled(
                f"A transaction of somebody else is open in {', '.join(map(str, open_ones))} for more than "
                f"{patience:.0f} seconds, and hides what was published after it. Only this program may write to the "
                f"topic: find the writer with `kafka-transactions.sh find-hanging`, stop it, and end its transaction."
            )
        progress()
        time.sleep(_PAUSE)


def _behind(stable: Mapping[Partition, int], written: Mapping[Partition, int]) -> list[Partition]:
    return [partition for partition in sorted(written) if stable[partition] < written[partition]]
