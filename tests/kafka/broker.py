"""A single Apache Kafka server for a test: controller and broker in one process, on free ports of the loopback."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from tests.kafka.jars import chosen_version
from tests.kafka.node import Node, free_port
from tests.kafka.settings import INTERNAL, PLAIN, cluster_id, server_settings
from tests.kafka.topics import Topics
from tests.patience import PATIENCE


class Broker(Topics):
    """A server of its own: started by the constructor, to be killed, suspended and started again at will.

    Args:
        folder: for its settings, log and data.
        version: of Apache Kafka; that of `TSDS_TEST_KAFKA_VERSION` when none is given.
        settings: server properties that replace or add to those of `server_settings`.
        listeners: security protocol by name of further listeners; their ports are in `ports`.
        advertised: port that clients are told instead of the server's own (that of a proxy).
        format_arguments: further arguments of the storage tool (SCRAM users).
    """

    def __init__(
        self,
        folder: Path,
        version: str | None = None,
        settings: Mapping[str, object] | None = None,
        listeners: Mapping[str, str] | None = None,
        advertised: int | None = None,
        format_arguments: Sequence[str] = (),
    ) -> None:
        protocols = {INTERNAL: PLAIN, PLAIN: PLAIN, **(listeners or {})}
        self.ports = {name: free_port() for name in protocols}
        self.port = self.ports[PLAIN]
        super().__init__(f"127.0.0.1:{advertised or self.port}", direct=f"127.0.0.1:{self.ports[INTERNAL]}")
        own = server_settings(
            node=1,
            voters={1: free_port()},
            listeners={name: (protocol, self.ports[name]) for name, protocol in protocols.items()},
            advertised={} if advertised is None else {PLAIN: advertised},
            replicas=1,
        )
        self.node = Node(
            folder, version or chosen_version(), {**own, **(settings or {})}, ["-t", cluster_id(), *format_arguments]
        )
        self.version = self.node.version
        try:
            self.node.start()
        except BaseException:
            self.close()
            raise

    def start(self, timeout: float = PATIENCE) -> None:
        """Start again on the same data and ports; returns when the server serves."""
        self.node.start(timeout)

    def kill(self) -> None:
        """SIGKILL, also while suspended."""
        self.node.kill()

    def stop(self) -> None:
        """SIGTERM and an orderly end."""
        self.node.stop()

    def suspend(self) -> None:
        """SIGSTOP: connections stay open, nothing answers."""
        self.node.suspend()

    def resume(self) -> None:
        self.node.resume()

    def close(self) -> None:
        """End the server and delete its data."""
        self.node.discard()

    def __enter__(self) -> Broker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
