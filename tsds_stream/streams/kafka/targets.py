"""Target examples from a compacted topic: the last record of every key is in force, and a null value withdraws it.

Keys are `set/example`; the example's id may have further slashes. What is in force is a function of the last record per
key and of nothing else, so that a restart finds the same, whatever compaction has removed meanwhile. Hence:

* an `id` in the value gives way to the key, which compaction goes by;
* a record that is no usable example withdraws what its key stood for before, and is told of once, with its place.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tsds_stream.codecs import Decoder, RecordError
from tsds_stream.fields import record_id
from tsds_stream.logs import LineLog, Log
from tsds_stream.records import Target
from tsds_stream.streams.base import SourceError, SourceUnavailable
from tsds_stream.streams.kafka.connection import Connection
from tsds_stream.streams.kafka.errors import KafkaFailure, OutOfRange, Partition, Refused
from tsds_stream.streams.kafka.following import POLL, Following, Reader, partitions_of

if TYPE_CHECKING:
    from tsds_stream.streams.kafka.client import Record

_TELL = 30.0  # seconds between two lines about what is waited for
_STEP = 0.1  # seconds between two looks while waiting
_PAUSE = 1.0  # seconds between two tries to reach the brokers


@dataclass(slots=True)
class _Set:
    """What is in force for one target set."""

    targets: dict[str, Target] = field(default_factory=dict)
    version: int = 0  # of the targets; moves with every change


class TopicTargets:
    """The examples of one target set. A `TargetReader`."""

    tolerant = True  # one producer's mistake must not hold up the examples of all others

    def __init__(self, topic: TargetTopic, name: str) -> None:
        self._topic = topic
        self._name = name
        self._read: int | None = None  # version of the last `read`
        self.positions: dict[str, int] = {}

    def read(self) -> list[Target]:
        """All examples, in ascending UTF-8 order of id; waits until the topic was once read to its end.

        `positions` then has, by partition, the offset below which every record is reflected.

        Raises:
            SourceUnavailable: the topic could not be read to its end in time.
            SourceError: the topic cannot be read any more.
        """
        targets, self._read, self.positions = self._topic.snapshot(self._name)
        return targets

    def changed(self) -> bool:
        """Whether `read` may give something else than the last time. Raises `SourceError` as `read`."""
        return self._topic.version(self._name) != self._read


class TargetTopic:
    """Follows the targets topic in a thread of its own, from `start` to `close`.

    An outage of the brokers is borne: the examples stay as they are. What cannot pass is raised to whoever reads.

    Args:
        topic: its name.
        decoder: `Decoder.target` makes examples of values.
        sets: names of the target sets; keys of others are of no interest.
        log: None: to stderr.
        patience: seconds that `read` waits for the topic's end to be reached for the first time.
        open_reader: where a test puts its own.
    """

    def __init__(
        self,
        connection: Connection,
        topic: str,
        decoder: Decoder,
        sets: Iterable[str],
        log: Log | None = None,
        *,
        patience: float = 120.0,
        open_reader: Callable[[Connection], Reader] | None = None,
    ) -> None:
        self.topic = topic
        self._connection = connection
        self._decoder = decoder
        self._log = log if log is not None else LineLog()
        self._patience = patience
        self._open_reader = open_reader if open_reader is not None else _consumer
        self._lock = threading.Lock()
        self._sets = {name: _Set() for name in sets}
        self._positions: dict[str, int] = {}
        self._failure: str | None = None
        self._ready = threading.Event()  # the end was reached once, or never will be
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"targets of {topic}", daemon=True)

    def close(self) -> None:
        """End the thread and wait for it."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(self._connection.request_timeout)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def reader(self, name: str) -> TopicTargets:
        """The examples of one of the sets."""
        if name not in self._sets:
            raise ValueError(f"{name!r} is not among the target sets of this topic")
        return TopicTargets(self, name)

    def wait_for_examples(self, names: Sequence[str], stop: Callable[[], bool]) -> bool:
        """Return when each of these sets has an example; False: `stop` said so before.

        Raises:
            SourceError: the topic cannot be read.
        """
        tell = time.monotonic()
        while not stop():
            with self._lock:
                self._check()
                empty = [name for name in names if not self._sets[name].targets]
            read = self._ready.is_set()
            if read and not empty:
                return True
            if time.monotonic() >= tell + (0 if read else _TELL):
                tell = time.monotonic() + _TELL
                self._log.info("waiting for target examples", topic=self.topic, sets=empty, topic_read=read)
            self._stop.wait(_STEP)
        return False

    def version(self, name: str) -> int:
        """A number that is another one whenever the examples of a set may be others."""
        with self._lock:
            self._check()
            return self._sets[name].version

    def snapshot(self, name: str) -> tuple[list[Target], int, dict[str, int]]:
        """Examples, version and positions of one moment. Raises as `TopicTargets.read`."""
        in_time = self._ready.wait(self._patience)
        with self._lock:
            self._check()
            if not in_time:
                raise SourceUnavailable(
                    f"The targets topic {self.topic!r} could not be read to its end in {self._patience:.0f} s "
                    f"({self._connection.bootstrap_servers}). Check that the brokers answer and that no transaction "
                    "on the topic stays open, and start again."
                )
            one = self._sets[name]
            return [one.targets[key] for key in sorted(one.targets)], one.version, dict(self._positions)

    def _check(self) -> None:
        if self._failure is not None:
            raise SourceError(self._failure)

    def _run(self) -> None:
        """Until `close`: read, and begin again after an outage, where it was left."""
        complained = False
        while not self._stop.is_set():
            try:
                reader = self._open_reader(self._connection)
                try:
                    self._follow(reader)
                finally:
                    reader.close()
                return
            except OutOfRange as error:
                self._fail(
                    f"The targets topic {self.topic!r} no longer holds the records that come next ({error}): it was "
                    "cut off or made anew. The examples stay as they are; start again to take up what it holds now."
                )
                return
            except Refused as error:
                self._fail(str(error))
                return
            except KafkaFailure as error:
                if not complained:
                    self._log.warning("the targets topic cannot be read now", topic=self.topic, error=str(error))
                complained = True
                self._stop.wait(_PAUSE)
            except Exception as error:  # noqa: BLE001 - a thread that dies in silence would leave targets as they are
                self._fail(f"Reading the targets topic {self.topic!r} has failed: {type(error).__name__}: {error}")
                return

    def _fail(self, sentence: str) -> None:
        with self._lock:
            self._failure = sentence
        self._ready.set()

    def _follow(self, reader: Reader) -> None:
        partitions = partitions_of(reader, self.topic)
        following, ends = Following(reader), reader.ends(partitions)
        positions = reader.beginnings(partitions)
        for number, offset in self._positions.items():  # of before an outage
            positions[Partition(self.topic, int(number))] = offset
        following.start(positions)
        while not self._stop.is_set():
            records = following.poll(POLL)
            with self._lock:
                for record in records:
                    self._apply(record)
                self._positions = {str(number): offset for number, offset in sorted(following.of(self.topic).items())}
            if not self._ready.is_set() and following.reached(ends):
                self._ready.set()
                counts = {name: len(one.targets) for name, one in self._sets.items()}
                self._log.info("targets read", topic=self.topic, examples=counts)

    def _apply(self, record: Record) -> None:
        place = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
        try:
            name, identifier = _split(record.key)
        except ValueError as error:
            self._log.warning("a target without a usable key is left out", **place, reason=str(error))
            return
        one = self._sets.get(name)
        if one is None:
            return
        target = None
        try:
            record_id(identifier, None)  # also where the value brings another one
            target = self._decoder.target(record.value, identifier)
        except RecordError as error:
            self._log.warning(
                "an unusable target withdraws its key", **place, set=name, id=identifier, reason=error.detail
            )
        if target is None or target.deleted:
            one.version += one.targets.pop(identifier, None) is not None
        else:
            one.targets[identifier] = replace(target, id=identifier)
            one.version += 1


def _split(key: bytes | None) -> tuple[str, str]:
    if key is None:
        raise ValueError("it has no key; expected set/example")
    try:
        name, slash, identifier = key.decode().partition("/")
    except UnicodeDecodeError:
        raise ValueError("its key is not UTF-8; expected set/example") from None
    if not slash or not name or not identifier:
        raise ValueError(f"its key is {key.decode()!r}; expected set/example")
    return name, identifier


def _consumer(connection: Connection) -> Reader:
    from tsds_stream.streams.kafka.client import Consumer

    return Consumer(connection)
