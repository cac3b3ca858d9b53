"""Clients are made whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kafka.net.compat import KafkaNetClient

from tsds_stream.streams.kafka.client.failures import explained
from tsds_stream.streams.kafka.client.options import client_options
from tsds_stream.streams.kafka.connection import Connection


@contextmanager
def made_whole(connection: Connection) -> Iterator[dict[str, Any]]:
    """The options of a client whose constructor is called within the block.

    A constructor that fails leaves a thread behind that tries to connect for ever; it is ended here.

    Raises:
        KafkaFailure: no broker answers, or it refuses.
    """
    made: list[Any] = []

    def remembered(*args: Any, **options: Any) -> Any:
        made.append(KafkaNetClient(*args, **options))
        return made[-1]

    with explained("connect to the brokers", connection):
        try:
            yield {**client_options(connection), "kafka_client": remembered}
        except BaseException:
            for client in made:
                client.close()
                client._net.close()
            raise
