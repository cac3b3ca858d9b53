"""Where a stream of Kafka stands: the next offset of every partition, of which topic, and where it began."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tsds_stream.records import Json
from tsds_stream.streams.base import Positions

_MOST_GAPS = 20  # that are remembered


@dataclass(frozen=True, slots=True)
class KafkaPositions:
    """Positions of the documents topic.

    Attributes:
        topic: its name.
        topic_id: which topic of that name: one that is deleted and made again has another.
        documents: next offset by partition.
        began: by partition, the offset of the first record that was there when the stream was first read.
        gaps: what was left out because somebody said so, the newest last: {"partition", "from", "to", "reason"}.
    """

    topic: str
    topic_id: str
    documents: Mapping[int, int]
    began: Mapping[int, int]
    gaps: tuple[Json, ...] = field(default=())

    @classmethod
    def of(cls, positions: Positions) -> KafkaPositions:
        """From what checkpoints and revision records hold. Raises `KeyError` for those of another kind of source."""
        return cls(
            positions["topic"],
            positions["topic_id"],
            {int(partition): offset for partition, offset in positions["documents"].items()},
            {int(partition): offset for partition, offset in positions["began"].items()},
            tuple(positions.get("gaps", ())),
        )

    def as_positions(self) -> Positions:
        """As JSON has it."""
        positions: Positions = {
            "documents": {str(partition): offset for partition, offset in sorted(self.documents.items())},
            "topic": self.topic,
            "topic_id": self.topic_id,
            "began": {str(partition): offset for partition, offset in sorted(self.began.items())},
        }
        if self.gaps:
            positions["gaps"] = list(self.gaps[-_MOST_GAPS:])
        return positions


def is_kafka(positions: Positions | None) -> bool:
    """Whether positions are those of a Kafka topic."""
    return positions is not None and "topic_id" in positions
