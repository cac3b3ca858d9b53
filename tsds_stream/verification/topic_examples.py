"""Target examples in a topic, as they are now or were at some positions; the key of a record is `set/example-id`."""

from __future__ import annotations

from dataclasses import replace

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
        """The examples of one set, in ascending order of id; a record that is no example withdraws its key.

        Args:
            positions: next offset by partition; None: all that there is.
        """
        targets: dict[str, Target] = {}
        for record in self._records:
            if positions is not None and record.offset >= int(positions.get(str(record.partition), 0)):
                continue
            identifier = _example(name, record.key)
            if identifier is None:
                continue
            targets.pop(identifier, None)
            try:
                target = self._decoder.target(record.value, identifier)
            except RecordError:
                continue
            if not target.deleted:
                targets[identifier] = replace(target, id=identifier)
        return [targets[key] for key in sorted(targets)]


def _example(name: str, key: bytes | None) -> str | None:
    """The id of an example of this set; None: the key is of something else."""
    try:
        set_name, slash, identifier = (key or b"").decode().partition("/")
    except UnicodeDecodeError:
        return None
    return identifier if slash and set_name == name and identifier else None


class SetExamples:
    """The `ExampleReader` of one set."""

    def __init__(self, examples: TopicExamples, name: str) -> None:
        self._examples = examples
        self._name = name

    def at(self, positions: Json | None) -> list[Target]:
        """See `TopicExamples.at`."""
        return self._examples.at(self._name, positions)
