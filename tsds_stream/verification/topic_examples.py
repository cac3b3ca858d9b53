"""Target examples in a topic, as they are now or were at some positions; the key of a record is `set/example-id`."""

from __future__ import annotations

from tsds_stream.codecs import Decoder, RecordError
from tsds_stream.records import Json, Target
from tsds_stream.streams.kafka.client import Record
from tsds_stream.verification.reading import TopicReader


class TopicExamples:
    """All records of the topic that are still there: compaction takes older examples away."""

    def __init__(self, reader: TopicReader, decoder: Decoder) -> None:
        self._decoder = decoder
        self._records: list[Record] = []
        for runs in reader.read(reader.ends()):
            for records in runs.values():
                self._records += records

    def at(self, name: str, positions: Json | None) -> list[Target]:
        """The examples of one set, in ascending order of id; records that are no examples are left out.

        Args:
            positions: next offset by partition; None: all that there is.
        """
        targets: dict[str, Target] = {}
        for record in self._records:
            if positions is not None and record.offset >= int(positions.get(str(record.partition), 0)):
                continue
            target = self._target(name, record)
            if target is not None and target.deleted:
                targets.pop(target.id, None)
            elif target is not None:
                targets[target.id] = target
        return [targets[key] for key in sorted(targets)]

    def _target(self, name: str, record: Record) -> Target | None:
        try:
            set_name, slash, identifier = (record.key or b"").decode().partition("/")
            if set_name != name or not slash:
                return None
            target = self._decoder.target(record.value, identifier)
        except (RecordError, UnicodeDecodeError):
            return None
        return Target(identifier, target.text, target.embedding, target.weight, target.group, target.deleted)


class SetExamples:
    """The `ExampleReader` of one set."""

    def __init__(self, examples: TopicExamples, name: str) -> None:
        self._examples = examples
        self._name = name

    def at(self, positions: Json | None) -> list[Target]:
        """See `TopicExamples.at`."""
        return self._examples.at(self._name, positions)
