"""Two positions of a topic, published one after the other: what happened in between, and what goes back."""

from __future__ import annotations

from tsds_stream.records import Json
from tsds_stream.streams.base import Positions
from tsds_stream.streams.kafka.positions import KafkaPositions, is_kafka

_FEW = 3  # partitions that a sentence names


def told_between(before: Positions, after: Positions) -> str | None:
    """Why offsets of the two say nothing about each other, in a sentence; None: they can be compared."""
    if not (is_kafka(before) and is_kafka(after)):
        return "they are not both positions of a topic"
    old, new = KafkaPositions.of(before), KafkaPositions.of(after)
    if old.topic != new.topic:
        return f"the documents were read from topic {old.topic!r} before, and from {new.topic!r} since"
    if old.topic_id != new.topic_id:
        return f"topic {new.topic!r} was deleted and made again in between"
    gaps = [gap for gap in new.gaps if gap not in old.gaps]
    if gaps:
        return f"gaps in topic {new.topic!r} were accepted in between ({_first([_gap(gap) for gap in gaps])})"
    return None


def gone_back(before: Positions, after: Positions) -> str | None:
    """In which partitions `after` lies before `before`, and how that can be; None: in none.

    A partition that is not named any more counts as one that stands where the stream began.
    """
    old, new = KafkaPositions.of(before), KafkaPositions.of(after)
    back = []
    for partition, offset in sorted(old.documents.items()):
        now = new.documents.get(partition, old.began.get(partition, 0))
        if now < offset:
            back.append(f"partition {partition} from {offset:,} to {now:,}")
    if not back:
        return None
    return f"{_first(back)}; perhaps an operator has moved the offsets of the consumer group back"


def _gap(gap: Json) -> str:
    where = f"partition {gap['partition']} at {gap['from']:,}"
    return where if gap["to"] is None else f"{where}, going on at {gap['to']:,}"


def _first(words: list[str]) -> str:
    more = len(words) - _FEW
    return "; ".join(words[:_FEW]) + (f"; and {more:,} more" if more > 0 else "")
