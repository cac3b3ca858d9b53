"""Settings of the servers that tests start: small logs, quick elections, nothing created by accident."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterable, Mapping

PLAIN = "PLAINTEXT"
CONTROLLER = "CONTROLLER"
# Brokers talk to each other, and to themselves, past a proxy that stands before the listeners of clients.
INTERNAL = "INTERNAL"


def cluster_id() -> str:
    """22 characters of base64, as the storage tool wants them."""
    name = "-"
    while name.startswith("-"):  # which the tool would take for an option
        name = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    return name


def server_settings(
    node: int,
    voters: Mapping[int, int],
    listeners: Mapping[str, tuple[str, int]],
    advertised: Mapping[str, int],
    replicas: int,
) -> dict[str, object]:
    """Settings of a server that is broker and controller in one.

    Args:
        node: its id, a key of `voters`.
        voters: controller port of every node.
        listeners: security protocol and port by name of the listener; `INTERNAL` is for the brokers themselves.
        advertised: ports told to clients where they differ (a proxy), by name of the listener.
        replicas: copies of internal topics; from three on, two must be in sync.
    """
    ports = {name: port for name, (_, port) in listeners.items()} | {CONTROLLER: voters[node]}
    protocols = {name: protocol for name, (protocol, _) in listeners.items()} | {CONTROLLER: PLAIN}
    in_sync = 2 if replicas > 2 else 1
    return {
        "process.roles": "broker,controller",
        "node.id": node,
        "controller.quorum.voters": _joined(f"{n}@127.0.0.1:{port}" for n, port in voters.items()),
        "listeners": _joined(f"{name}://127.0.0.1:{port}" for name, port in ports.items()),
        "advertised.listeners": _joined(
            f"{name}://127.0.0.1:{advertised.get(name, port)}" for name, (_, port) in listeners.items()
        ),
        "inter.broker.listener.name": INTERNAL,
        "controller.listener.names": CONTROLLER,
        "listener.security.protocol.map": _joined(f"{name}:{protocol}" for name, protocol in protocols.items()),
        "num.partitions": 4,
        "default.replication.factor": replicas,
        "min.insync.replicas": in_sync,
        "offsets.topic.num.partitions": 2,
        "offsets.topic.replication.factor": replicas,
        "transaction.state.log.num.partitions": 2,
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.replication.factor": replicas,
        "share.coordinator.state.topic.min.isr": in_sync,
        "replica.lag.time.max.ms": 1000,
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1000,
        "auto.create.topics.enable": "false",
        "transaction.max.timeout.ms": 60000,
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1000,
        # Back 4 s after a SIGKILL instead of 13: the registration of the dead one must expire first.
        "broker.session.timeout.ms": 1500,
        "broker.heartbeat.interval.ms": 200,
        # Compaction within a test.
        "log.cleaner.dedupe.buffer.size": 2097152,
        "log.cleaner.backoff.ms": 100,
        "log.initial.task.delay.ms": 100,
    }


def _joined(parts: Iterable[str]) -> str:
    return ",".join(parts)
