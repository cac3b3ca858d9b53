"""What the brokers say of one topic: whether it is there, which one it is, and what its logs hold."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Final

from tsds_stream.streams.base import SourceError, SourceUnavailable
from tsds_stream.streams.kafka.client import Admin, Consumer, Topic
from tsds_stream.streams.kafka.connection import Connection
from tsds_stream.streams.kafka.errors import KafkaFailure, Partition, Refused
from tsds_stream.streams.kafka.gaps import Log

_SHORT: Final = 2.0  # seconds for a question in the midst of reading; it is put again later
_DOUBT: Final = 2.0  # seconds until a log that is shorter than it was is believed


@dataclass(frozen=True, slots=True)
class Clients:
    """What makes clients; a test brings its own."""

    consumer: Callable[..., Consumer] = Consumer
    admin: Callable[[Connection], Admin] = Admin


class TopicLook:
    """Asks about one topic, by one client of its own.

    The client is made once and kept through outages: the library leaves a thread and its sockets behind for each one
    that does not find the brokers.
    """

    def __init__(self, connection: Connection, topic: str, clients: Clients) -> None:
        self._connection = connection
        self._topic = topic
        self._clients = clients
        self._admin: Admin | None = None

    def now(self, patience: float | None = 0.0) -> Topic:
        """The topic as it is. Raises `KafkaFailure` when nobody says so, within a few seconds.

        Args:
            patience: seconds for which it is asked again; None: as long as a start may take.
        """
        if self._admin is None:
            short = min(_SHORT, self._connection.request_timeout)
            self._admin = self._clients.admin(replace(self._connection, request_timeout=short))
        return self._admin.topics([self._topic], patience)[self._topic]

    def at_start(self) -> Topic:
        """The same for a topic that is about to be read. Raises `SourceError` when it cannot be, and `KafkaFailure`."""
        topic = self.now(patience=None)
        if topic.missing:
            raise SourceError(
                f"There is no topic {self._topic!r}. Create it (tsds-stream topics --create), or name another one in "
                "kafka.topics.documents."
            )
        if topic.problem:
            raise SourceError(f"The topic {self._topic!r} cannot be read: {topic.problem}. {self._permissions()}")
        return topic

    def logs(self, consumer: Consumer, numbers: Sequence[int], offsets: Mapping[int, int]) -> dict[int, Log]:
        """What the brokers hold of some partitions, looked at again where one of `offsets` is beyond the end.

        Raises:
            KafkaFailure: nobody says so.
        """
        partitions = [Partition(self._topic, number) for number in numbers]
        begins, ends = consumer.beginnings(partitions), consumer.ends(partitions)
        doubtful = [one for one in partitions if offsets.get(one.partition, 0) > ends[one]]
        if doubtful:
            # A broker that has just started, or somebody's open transaction, may end a log too early.
            whole = self._clients.consumer(self._connection, committed_only=False)
            try:
                deadline = time.monotonic() + _DOUBT
                ends.update(whole.ends(doubtful))
                while any(offsets[one.partition] > ends[one] for one in doubtful) and time.monotonic() < deadline:
                    time.sleep(0.2)
                    ends.update(whole.ends(doubtful))
            finally:
                whole.close()
        return {one.partition: Log(begins[one], ends[one]) for one in partitions}

    def close(self) -> None:
        """Let go of the connection."""
        if self._admin is not None:
            with suppress(KafkaFailure):
                self._admin.close()
            self._admin = None

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Failures of the client become those of a source."""
        try:
            yield
        except Refused as error:
            raise SourceError(f"{error}. {self._permissions()}") from error
        except KafkaFailure as error:
            raise SourceUnavailable(f"{error}") from error

    def _permissions(self) -> str:
        return f"Check the credentials in [kafka], and that they may Read and Describe the topic {self._topic!r}."
