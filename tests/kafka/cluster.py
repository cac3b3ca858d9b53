"""Three Kafka servers that keep three copies of everything, and acknowledge what two of them have."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from tests.kafka.jars import chosen_version
from tests.kafka.node import Node, free_port
from tests.kafka.settings import INTERNAL, PLAIN, cluster_id, server_settings
from tests.kafka.topics import Topics
from tests.patience import PATIENCE

NODES = (1, 2, 3)
TRANSACTIONS = "__transaction_state"
GROUPS = "__consumer_offsets"


class Cluster(Topics):
    """Started by the constructor; `kill(node)`, `start(node)` and so on take 1, 2 or 3.

    Args:
        folder: for the settings, logs and data of all nodes.
        version: of Apache Kafka; that of `TSDS_TEST_KAFKA_VERSION` when none is given.
        settings: server properties that replace or add to those of `server_settings`.
    """

    def __init__(self, folder: Path, version: str | None = None, settings: Mapping[str, object] | None = None) -> None:
        self.version = version or chosen_version()
        self.ports = {node: free_port() for node in NODES}
        super().__init__(",".join(f"127.0.0.1:{port}" for port in self.ports.values()), replicas=len(NODES))
        voters = {node: free_port() for node in NODES}
        name = cluster_id()

        def make(node: int) -> Node:
            listeners = {INTERNAL: (PLAIN, free_port()), PLAIN: (PLAIN, self.ports[node])}
            own = server_settings(node, voters, listeners, advertised={}, replicas=len(NODES))
            return Node(folder / f"node-{node}", self.version, {**own, **(settings or {})}, ["-t", name])

        with ThreadPoolExecutor(len(NODES)) as pool:
            self.nodes = dict(zip(NODES, pool.map(make, NODES), strict=True))
        try:
            for node in self.nodes.values():
                node.launch()  # none is ready before a majority runs
            for node in self.nodes.values():
                node.await_ready()
        except BaseException:
            self.close()
            raise

    def start(self, node: int, timeout: float = 60.0) -> None:
        """Start again on the same data and port; returns when it serves, which needs a majority."""
        self.nodes[node].start(timeout)

    def kill(self, node: int) -> None:
        """SIGKILL, also while suspended."""
        self.nodes[node].kill()

    def stop(self, node: int) -> None:
        """SIGTERM and an orderly end."""
        self.nodes[node].stop()

    def suspend(self, node: int) -> None:
        """SIGSTOP: connections stay open, nothing answers."""
        self.nodes[node].suspend()

    def resume(self, node: int) -> None:
        self.nodes[node].resume()

    def leader(self, topic: str, partition: int = 0) -> int:
        """The node that leads a partition, -1 while there is none."""
        return self.leaders(topic).get(partition, -1)

    def transaction_coordinator(self, transactional_id: str) -> int:
        """The node that keeps the state of a transactional id; -1 while there is none, or nobody used transactions."""
        return self._keeper(TRANSACTIONS, transactional_id)

    def group_coordinator(self, group_id: str) -> int:
        """The node that keeps the offsets of a group; -1 while there is none, or nobody committed offsets."""
        return self._keeper(GROUPS, group_id)

    def in_sync(self, topic: str) -> dict[int, set[int]]:
        """The nodes that have everything of each partition."""
        listed = self.admin().list_topics(topic, timeout=PATIENCE).topics[topic]
        return {number: set(partition.isrs) for number, partition in listed.partitions.items()}

    def await_in_sync(self, topic: str, nodes: int = len(NODES), timeout: float = PATIENCE) -> None:
        """Return when each partition has that many nodes in sync."""
        deadline = time.monotonic() + timeout
        while any(len(found) < nodes for found in self.in_sync(topic).values()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"in sync after {timeout:.0f} s: {self.in_sync(topic)}")
            time.sleep(0.05)

    def close(self) -> None:
        """End all nodes and delete their data."""
        for node in self.nodes.values():
            node.discard()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _keeper(self, topic: str, key: str) -> int:
        leaders = self.leaders(topic)
        return leaders[_java_hash(key) % len(leaders)] if leaders else -1


def _java_hash(text: str) -> int:
    """`String.hashCode` without its sign, by which the server gives an id to a partition of its internal topics."""
    value = 0
    for character in text:
        value = (31 * value + ord(character)) & 0xFFFFFFFF
    return ctypes.c_int32(value).value & 0x7FFFFFFF
