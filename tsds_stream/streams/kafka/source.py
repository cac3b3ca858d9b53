"""Documents from a topic: every partition from positions of our own, without a group, and never a silent jump."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from tsds_stream.codecs import Decoder
from tsds_stream.records import Json
from tsds_stream.streams.base import Batch, Positions, SourceError
from tsds_stream.streams.clocks import wall_clock
from tsds_stream.streams.kafka.client import Topic
from tsds_stream.streams.kafka.connection import Connection
from tsds_stream.streams.kafka.documents import DocumentReader
from tsds_stream.streams.kafka.errors import KafkaFailure, OutOfRange, Refused
from tsds_stream.streams.kafka.gaps import Gap, Log, deleted, find_gaps, lost_past, reasons_against, rewritten, together
from tsds_stream.streams.kafka.partition_reader import PartitionReader, Runs
from tsds_stream.streams.kafka.positions import KafkaPositions, is_kafka
from tsds_stream.streams.kafka.topic_look import Clients, TopicLook

log = logging.getLogger(__name__)

_GLIMPSE: Final = 1.0  # seconds between two looks for a topic that is not there
_GONE: Final = 2.0  # seconds until a topic that is not there is believed to be deleted
_COMPLAINT: Final = 60.0  # seconds between two lines in the log on trouble that lasts


class KafkaSource:
    """The `Source` of a topic. Nobody is asked before the first `seek`; one thread at a time may use it.

    Args:
        topic: of the documents: the key is the id of a value that names none, a record without value a retraction.
        decoder: makes documents of values.
        max_document_bytes: a longer value becomes a dead letter unseen.
        accept_gap: go on where records are lost for good, and note it in the positions.
        topic_check_interval: seconds between two questions whether the topic is still the same one.
        clock, sleep: seconds; now: milliseconds since 1970.
    """

    rewindable = True

    def __init__(
        self,
        connection: Connection,
        topic: str,
        decoder: Decoder,
        *,
        max_document_bytes: int,
        accept_gap: bool = False,
        topic_check_interval: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
        now: Callable[[], int] = wall_clock,
        clients: Clients | None = None,
    ) -> None:
        makers = clients or Clients()
        self._topic = topic
        self._accept_gap = accept_gap
        self._interval = topic_check_interval
        self._clock, self._sleep, self._now = clock, sleep, now
        self._documents = DocumentReader(topic, decoder, max_document_bytes, now)
        self._look = TopicLook(connection, topic, makers)
        self._reader = PartitionReader(topic, lambda: makers.consumer(connection))
        self._topic_id = ""
        self._began: dict[int, int] = {}
        self._gaps: list[Json] = []
        self._until: Positions | None = None
        self._passed: list[Gap] = []  # what the logs no longer held when a bounded reading began
        self._reached = False
        self._gone_since: float | None = None
        self._glimpse_at = self._check_at = 0.0
        self._complain_at = -_COMPLAINT

    def seek(self, positions: Positions | None) -> None:
        """Go on after `positions`; None: where the logs begin.

        Raises:
            SourceUnavailable: no broker answers.
            SourceError: the topic is missing, may not be read, is another one, or no longer holds these positions.
        """
        wanted = None if positions is None else self._parsed(positions)
        with self._look.explained():
            topic = self._look.at_start()
            logs = self._logs(topic.partitions, {} if wanted is None else wanted.documents)
            self._gaps = [] if wanted is None else list(wanted.gaps)
            gaps = [] if wanted is None else find_gaps(wanted, topic.id, logs)
            self._accept(gaps)
            if wanted is not None and wanted.topic_id == topic.id:
                self._place(topic.id, logs, {**wanted.documents, **_targets(gaps)}, wanted.began)
            else:
                self._place(topic.id, logs, {}, {})
        self._until, self._passed, self._reached = None, [], False
        self._check_at = self._clock() + self._interval

    def poll(self, limit: int, timeout: float, until: Positions | None = None) -> Batch:
        """At most `limit` records; none, at the same positions, while no broker answers. Raises `SourceError`."""
        if not self._topic_id:
            self.seek(None)
        runs: Runs = []
        try:
            if until != self._until:
                self._aim(until)
            self._watch()
            if not self._reached:
                runs = self._reader.read(limit, timeout)
                if self._is_another():
                    self._reader.undo()  # these may be records of a topic that was made again
                    runs = []
                self._note()
        except OutOfRange as error:
            self._settle(error)
        except Refused:
            with self._look.explained():
                raise
        except KafkaFailure as error:
            self._complain(error)
            self._sleep(timeout)
        documents, letters, size = self._documents.read(runs)
        return Batch(documents, letters, self._positions(until), size)

    @property
    def exhausted(self) -> bool:
        """Whether `until` of the last poll is reached; without one there is always more to come."""
        return self._reached

    def unreachable(self, state: Positions | None, committed: Positions) -> str | None:
        """See `Source`; a gap that is accepted is no reason. Raises `SourceError` when the topic cannot be asked."""
        before, after = None if state is None else self._parsed(state), self._parsed(committed)
        reason = None if before is None else reasons_against(before, after)
        if reason is not None or self._accept_gap or (before is not None and before.documents == after.documents):
            return reason  # where nothing has to be read again, `seek` says what is wrong
        topic_id, logs = self._held()
        if before is None:
            needed = "The stream has to be read again from its beginning, as there is no usable checkpoint."
            lost = lost_past(after, topic_id, logs)
        else:
            needed = "What comes after it is no longer there."
            new = {n: after.began.get(n, 0) for n in after.documents.keys() - before.documents.keys()}
            whole = KafkaPositions(self._topic, before.topic_id, {**new, **before.documents}, {})
            gaps = find_gaps(whole, topic_id, logs)
            lost = [gap.sentence for gap in gaps if gap.start < after.documents.get(gap.partition, 0)]
        return together([needed, *lost]) if lost else None

    def reaches_back(self, positions: Positions) -> bool:
        """See `Source`. Raises `SourceError` when the topic cannot be asked."""
        return not lost_past(self._parsed(positions), *self._held())

    def rest(self) -> None:
        """Keep the connection and read nothing; the next `poll` reads on."""
        self._reader.rest()

    def lag(self) -> Mapping[str, float]:
        """Records (offsets, to be exact) and seconds behind the ends of the logs as the last answers had them."""
        records, newest = sum(self._reader.lags().values()), self._reader.newest
        behind = records > 0 and newest >= 0
        seconds = max(0.0, (self._now() - newest) / 1000) if behind else 0.0
        return {"records": float(records), "seconds": seconds}

    def partition_lag(self) -> dict[str, int]:
        """Offsets that are left, by "topic/partition"."""
        return {f"{self._topic}/{number}": left for number, left in self._reader.lags().items()}

    def close(self) -> None:
        """Let go of all connections."""
        self._look.close()
        self._reader.close()
        self._topic_id = ""

    def _note(self) -> None:
        """Whether `until` is reached."""
        reader = self._reader
        if reader.bounds is not None and not reader.unfinished and self._until is not None:
            self._reached = True
            until = self._parsed(self._until)
            self._began.update(until.began)
            self._gaps = [*until.gaps, *(gap for gap in self._gaps if gap not in until.gaps)]

    def _positions(self, until: Positions | None) -> Positions:
        if self._reached and until is not None:
            return until
        offsets, bounds = self._reader.offsets, None if until is None else self._parsed(until).documents
        if bounds is not None:
            offsets = {number: min(offset, bounds[number]) for number, offset in offsets.items() if number in bounds}
        began = {number: self._began[number] for number in offsets}
        return KafkaPositions(self._topic, self._topic_id, offsets, began, tuple(self._gaps)).as_positions()

    def _aim(self, until: Positions | None) -> None:
        """Take note of where reading is to end from now on. Raises `KafkaFailure`: try again."""
        passed: list[Gap] = []
        bounds: dict[int, int] | None = None
        if until is None:
            self._accept(self._passed)
        else:
            target = self._parsed(until)
            logs = self._logs(list(self._reader.offsets), target.documents)
            self._accept([gap for gap in find_gaps(target, self._topic_id, logs) if gap.reason != "retention"])
            bounds = {}
            if target.topic_id == self._topic_id:  # otherwise nothing of the old topic is left to be read
                bounds = {n: min(bound, logs[n].end) for n, bound in target.documents.items() if n in logs}
            if self._accept_gap:  # otherwise whoever reads from the beginning has asked before, or asks afterwards
                self._accept(self._missing(target, bounds))
            for number, bound in bounds.items():
                offset = self._reader.offsets[number]
                if offset > bound:
                    passed.append(deleted(self._topic, number, bound, Log(offset, offset)))
        self._reader.bind(bounds)
        self._until, self._passed, self._reached = until, passed, False

    def _missing(self, target: KafkaPositions, bounds: Mapping[int, int]) -> list[Gap]:
        """What was there when the stream was first read, and is not where this reading has begun."""
        firsts = {number: min(self._began[number], bound) for number, bound in bounds.items()}
        lost = {number: first for number, first in firsts.items() if target.began.get(number, 0) < first}
        return [deleted(self._topic, n, target.began.get(n, 0), Log(first, first)) for n, first in lost.items()]

    def _watch(self) -> None:
        """See whether the topic is still there and the same one, and take up partitions that it has got."""
        topic_id, partitions = self._reader.consumer.glimpse(self._topic)
        another = self._is_another()
        now = self._clock()
        if another or now >= self._check_at or (not topic_id and now >= self._glimpse_at):
            self._glimpse_at, self._check_at = now + _GLIMPSE, now + self._interval
            try:
                self._examine(self._look.now())
            except KafkaFailure as error:
                if another:  # what would be read now may be records of another topic
                    raise
                log.debug("the topic %r could not be looked at: %s", self._topic, str(error))
        new = [number for number in partitions if number not in self._reader.offsets]
        if new and self._until is None and topic_id == self._topic_id:
            logs = self._logs(new, {})
            log.info("the topic %r has got new partitions: %s", self._topic, ", ".join(map(str, new)))
            self._reader.add(logs)
            self._began.update({number: held.begin for number, held in logs.items()})

    def _is_another(self) -> bool:
        """Whether the last metadata are those of another topic of this name, be it an older or a newer one."""
        return self._reader.consumer.glimpse(self._topic)[0] not in ("", self._topic_id)

    def _examine(self, topic: Topic) -> None:
        """Raises `SourceError` when the topic is gone, and stays so, or is another one."""
        if topic.missing:
            if self._gone_since is None:
                self._gone_since = self._clock()
            elif self._clock() - self._gone_since >= _GONE:
                raise SourceError(
                    f"The topic {self._topic!r} (id {self._topic_id}) has been deleted; it was read up to "
                    f"{self._standing()}. Create it again (tsds-stream topics --create), and then: {together([])}"
                )
            self._check_at = self._clock() + _GLIMPSE
            return
        self._gone_since = None
        if not topic.problem and topic.id != self._topic_id:
            logs = self._logs(topic.partitions, {})
            standing = KafkaPositions(self._topic, self._topic_id, self._reader.offsets, self._began)
            self._accept(find_gaps(standing, topic.id, logs))
            self._place(topic.id, logs, {}, {})
            if self._until is not None:
                self._reader.bind({})  # nothing of the old topic is left to be read

    def _settle(self, error: OutOfRange) -> None:
        """Deleted by retention, cut off at the end, or a shorter topic of the same name."""
        reader = self._reader
        try:
            self._examine(topic := self._look.now())
            if topic.problem or topic.id != self._topic_id:
                return
            offsets = {one.partition: reader.offsets[one.partition] for one in error.positions}
            logs = self._logs(list(offsets), offsets)
            found = find_gaps(KafkaPositions(self._topic, self._topic_id, offsets, {}), self._topic_id, logs)
            known = {gap.partition for gap in found}
            for one, cut in error.cut.items():
                if one.partition not in known and cut < offsets[one.partition]:
                    found.append(rewritten(self._topic, one.partition, offsets[one.partition], cut))
            self._accept(found)
            for number, offset in {**offsets, **_targets(found)}.items():
                reader.jump(number, offset)
            if reader.bounds is not None:
                reader.bind(reader.bounds)
        except KafkaFailure as failure:
            self._complain(failure)

    def _place(
        self, topic_id: str, logs: Mapping[int, Log], offsets: Mapping[int, int], began: Mapping[int, int]
    ) -> None:
        """Read on at `offsets`, and where there are none, from where the logs begin."""
        self._reader.begin({number: offsets.get(number, held.begin) for number, held in logs.items()}, logs)
        self._began = {number: began.get(number, held.begin) for number, held in logs.items()}
        self._topic_id = topic_id

    def _logs(self, numbers: Sequence[int], offsets: Mapping[int, int]) -> dict[int, Log]:
        return self._look.logs(self._reader.consumer, numbers, offsets)

    def _held(self) -> tuple[str, dict[int, Log]]:
        with self._look.explained():
            topic = self._look.at_start()
            return topic.id, self._logs(topic.partitions, {})

    def _parsed(self, positions: Positions) -> KafkaPositions:
        if not is_kafka(positions):
            raise SourceError(
                "The state was written by another source than Kafka. Give this one a state directory and output topics "
                "of its own."
            )
        parsed = KafkaPositions.of(positions)
        if parsed.topic != self._topic:
            raise SourceError(
                f"The state is of the topic {parsed.topic!r}, and kafka.topics.documents is {self._topic!r}. Name the "
                "topic that was read, or start over with another group_id, another state directory and empty output "
                "topics."
            )
        return parsed

    def _accept(self, gaps: Sequence[Gap]) -> None:
        if gaps and not self._accept_gap:
            raise SourceError(together([gap.sentence for gap in gaps]))
        for gap in gaps:
            log.warning("a gap is accepted: %s", gap.sentence)
            self._gaps.append(gap.as_record())

    def _complain(self, error: KafkaFailure) -> None:
        if self._clock() >= self._complain_at + _COMPLAINT:
            self._complain_at = self._clock()
            log.warning("nothing can be read for now: %s", str(error))

    def _standing(self) -> str:
        return ", ".join(f"{number} at {offset}" for number, offset in sorted(self._reader.offsets.items()))


def _targets(gaps: Sequence[Gap]) -> dict[int, int]:
    return {gap.partition: gap.to for gap in gaps if gap.to is not None}
