"""What can be wrong with positions: records between them and what the brokers hold that nobody can read any more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from tsds_stream.records import Json
from tsds_stream.streams.kafka.positions import KafkaPositions

REMEDY: Final = (
    "Start once with --accept-gap (source.accept_gap = true) to go on without them: the gap is then noted in every "
    "revision. For a selection of exactly the records that are there, start over with another group_id, another state "
    "directory and empty output topics."
)


class Log(NamedTuple):
    """The offsets that the brokers hold of a partition: from `begin`, up to before `end`."""

    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Gap:
    """A jump that only the owner of the data may allow.

    Attributes:
        start, to: from this offset on nothing can be read, and reading would go on there; None: nowhere.
        reason: "retention", "truncated", "recreated" or "removed".
        sentence: for whoever has to decide.
    """

    partition: int
    start: int
    to: int | None
    reason: str
    sentence: str

    def as_record(self) -> Json:
        """What positions keep of it."""
        return {"partition": self.partition, "from": self.start, "to": self.to, "reason": self.reason}


def find_gaps(positions: KafkaPositions, topic_id: str, logs: Mapping[int, Log]) -> list[Gap]:
    """What keeps a reader from going on at `positions`, by partition.

    Args:
        topic_id: of the topic as it is now.
        logs: of its partitions.
    """
    if positions.topic_id != topic_id:
        return [_recreated(positions, partition, topic_id, logs.get(partition)) for partition in positions.documents]
    found = []
    for partition, offset in sorted(positions.documents.items()):
        place, log = f"{positions.topic}/{partition}", logs.get(partition)
        if log is None:
            sentence = f"{place} was read up to offset {offset}, and there is no such partition any more."
            found.append(Gap(partition, offset, None, "removed", sentence))
        elif offset < log.begin:
            found.append(deleted(positions.topic, partition, offset, log))
        elif offset > log.end:
            sentence = (
                f"{place} was read up to offset {offset}, and its log ends at {log.end}: the brokers have lost "
                f"{_records(offset - log.end)}, and other records will take their offsets."
            )
            found.append(Gap(partition, offset, log.end, "truncated", sentence))
    return found


def deleted(topic: str, partition: int, offset: int, log: Log) -> Gap:
    """Retention was faster than the reader."""
    sentence = (
        f"{topic}/{partition} has to be read from offset {offset} on, and its log begins at {log.begin}: "
        f"{_records(log.begin - offset)} were deleted before they were read."
    )
    return Gap(partition, offset, log.begin, "retention", sentence)


def rewritten(topic: str, partition: int, offset: int, cut: int) -> Gap:
    """The log was cut off at `cut` and has grown again: what was read is not what is there now."""
    sentence = (
        f"{topic}/{partition} was read up to offset {offset}, and since then the brokers have lost what came after "
        f"{cut} ({_records(offset - cut)}) and have written other records in its place."
    )
    return Gap(partition, offset, cut, "truncated", sentence)


def lost_past(positions: KafkaPositions, topic_id: str, logs: Mapping[int, Log]) -> list[str]:
    """Why the stream cannot be read again from its beginning to `positions`; empty: it can."""
    if positions.topic_id != topic_id:
        return [f"{positions.topic!r} is another topic than the one that was read: it was deleted and created again."]
    missing = [f"{positions.topic}/{number} is gone." for number in sorted(positions.documents.keys() - logs.keys())]
    for partition in sorted(positions.documents.keys() & logs.keys()):
        began, begin = positions.began.get(partition, 0), logs[partition].begin
        if began < begin:
            lost = _records(begin - began)
            missing.append(
                f"{positions.topic}/{partition} began at {began} and now begins at {begin}: {lost} are gone."
            )
    missing += [f"{positions.topic}/{gap['partition']} has an accepted gap at {gap['from']}." for gap in positions.gaps]
    return missing


def reasons_against(state: KafkaPositions, committed: KafkaPositions) -> str | None:
    """Why `committed` does not lie after `state`, or None."""
    if state.topic_id != committed.topic_id:
        ids = f"(id {state.topic_id}, and {committed.topic_id})"
        return f"It is of another topic {state.topic!r} than what is committed: one was deleted in between {ids}."
    for partition, offset in sorted(state.documents.items()):
        held = committed.documents.get(partition, 0)
        if offset > held:
            return f"It is ahead of what is committed: {state.topic}/{partition} at {offset} against {held}."
    return None


def together(sentences: Sequence[str]) -> str:
    """All that is wrong and what to do, as one message."""
    return " ".join([*sentences, REMEDY])


def _recreated(positions: KafkaPositions, partition: int, topic_id: str, log: Log | None) -> Gap:
    offset = positions.documents[partition]
    if log is None:
        held = "has no such partition"
    elif log.begin == log.end:
        held = "holds nothing there yet"
    else:
        held = f"holds the offsets from {log.begin} up to before {log.end}"
    sentence = (
        f"{positions.topic}/{partition} was read up to offset {offset} in a topic that was deleted (id "
        f"{positions.topic_id}): an unknown number of its records is lost. The topic that has its name now (id "
        f"{topic_id}) {held}."
    )
    return Gap(partition, offset, None if log is None else log.begin, "recreated", sentence)


def _records(count: int) -> str:
    """Offsets are more than records where transactions or compaction are at work."""
    return "1 record" if count == 1 else f"up to {count:,} records"
