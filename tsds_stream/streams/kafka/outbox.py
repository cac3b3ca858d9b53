"""The records of one transaction on their way: sent, counted, and every single one asked whether it arrived."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tsds_stream.streams.base import SinkError, SinkUnavailable
from tsds_stream.streams.kafka.client import Pending, Producer
from tsds_stream.streams.kafka.encoding import Wire
from tsds_stream.streams.kafka.errors import FencedOff, KafkaFailure, Refused, TooLarge

_FULL: Final = 32 * 1024 * 1024  # bytes; the client keeps what is not sent yet, however much it is


class Outbox:
    """Sends with one producer, within one transaction.

    Args:
        patience: seconds that a flush may still take, asked for each time.
    """

    def __init__(self, producer: Producer, patience: Callable[[], float]) -> None:
        self._producer = producer
        self._patience = patience
        self._pending: list[tuple[str, Pending]] = []
        self._bytes = 0
        self._ends: dict[str, dict[int, int]] = {}
        self.sent = 0

    def send(self, topic: str, wire: Wire, *, partition: int | None = None) -> None:
        """Hand over one record.

        Raises:
            TooLarge: nothing of it was sent, and everything else still can be.
            KafkaFailure: the transaction is lost.
        """
        self._pending.append(
            (topic, self._producer.send(topic, wire.key, wire.value, wire.headers, partition=partition))
        )
        self.sent += 1
        self._bytes += len(wire.value or b"")
        if self._bytes > _FULL:
            self.deliver()

    def send_whole(self, topic: str, wire: Wire, *, partition: int | None = None) -> tuple[int, int]:
        """Send one record that must not be cut, wait for it, and tell its partition and offset.

        Raises:
            SinkError: it does not fit.
        """
        try:
            self.send(topic, wire, partition=partition)
        except TooLarge as error:
            size = len(wire.value or b"")
            raise SinkError(
                f"A record of {size} bytes does not fit into the topic {topic!r}: {error} Raise max.message.bytes of "
                f"the topics that are written to, with room to spare."
            ) from error
        _, pending = self._pending[-1]
        self.deliver()
        return pending.place()

    def deliver(self) -> None:
        """Wait until everything has arrived.

        Raises:
            KafkaFailure: something did not; of several reasons, the one that tells most.
        """
        self._producer.flush(self._patience())
        failures: list[tuple[str, KafkaFailure]] = []
        for topic, pending in self._pending:
            try:
                partition, offset = pending.place()
            except KafkaFailure as failure:
                failures.append((topic, failure))
                continue
            ends = self._ends.setdefault(topic, {})
            if ends.get(partition, -1) <= offset:
                ends[partition] = offset + 1
        self._pending.clear()
        self._bytes = 0
        if failures:
            # One refused record makes the client fail all the others, for reasons that say nothing.
            topic, first = min(failures, key=lambda one: _telling(one[1]))
            if isinstance(first, TooLarge):
                raise SinkUnavailable(
                    f"The topic {topic!r} has refused a record that it would have taken when this process started: "
                    f"its max.message.bytes was lowered, or that of the brokers. The next start goes by the new limit."
                ) from first
            raise first

    def ends(self, topic: str) -> dict[int, int]:
        """By partition, the offset after the last record of this transaction, as far as it was delivered."""
        return dict(self._ends.get(topic, {}))


def _telling(failure: KafkaFailure) -> int:
    order = (Refused, TooLarge, FencedOff)
    return next((rank for rank, kind in enumerate(order) if isinstance(failure, kind)), len(order))
