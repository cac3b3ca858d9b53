"""Three servers, and the other version of Kafka: more than a run of all tests needs.

TSDS_TEST_KAFKA_ALL=1 python -m pytest tests/kafka/test_cluster.py
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Producer

from tests.kafka.broker import Broker
from tests.kafka.cluster import GROUPS, TRANSACTIONS, Cluster
from tests.kafka.fixtures import needs_a_server
from tests.kafka.jars import VERSIONS, chosen_version
from tests.kafka.records import read, write
from tests.patience import PATIENCE

wanted = os.environ.get("TSDS_TEST_KAFKA_ALL") == "1"
pytestmark = [
    pytest.mark.kafka,
    pytest.mark.slow,
    pytest.mark.skipif(not wanted, reason="three servers or a second version of Kafka: TSDS_TEST_KAFKA_ALL=1 runs it"),
]


def until(true: Callable[[], bool], timeout: float = PATIENCE) -> None:
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_cluster_loses_its_leader_and_nothing_else(cluster: Cluster) -> None:
    name = cluster.create_topic("documents")
    write(cluster.bootstrap, name, [b"before"])
    killed = cluster.leader(name)
    cluster.kill(killed)
    until(lambda: cluster.leader(name) not in (killed, -1))
    write(cluster.bootstrap, name, [b"meanwhile"])
    cluster.start(killed)
    cluster.await_in_sync(name)
    write(cluster.bootstrap, name, [b"after"])
    assert read(cluster.bootstrap, name, 3) == [b"before", b"meanwhile", b"after"]


def test_the_coordinator_of_a_transactional_id_is_the_node_that_keeps_its_state(cluster: Cluster) -> None:
    assert cluster.transaction_coordinator("tsds-0") == -1
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "transactional.id": "tsds-0", "log_level": 0})
    producer.init_transactions(PATIENCE)
    killed = cluster.transaction_coordinator("tsds-0")
    assert killed in (1, 2, 3)
    assert set(cluster.in_sync(TRANSACTIONS)) == {0, 1}
    assert GROUPS not in cluster.topic_names()
    cluster.kill(killed)
    until(lambda: cluster.transaction_coordinator("tsds-0") not in (killed, -1))
    producer.begin_transaction()
    producer.commit_transaction(PATIENCE)


@pytest.mark.parametrize("version", [version for version in VERSIONS if version != chosen_version()])
def test_the_other_version_starts_as_well(version: str, tmp_path: Path) -> None:
    needs_a_server()
    with Broker(tmp_path / "broker", version=version) as broker:
        name = broker.create_topic("documents")
        write(broker.bootstrap, name, [b"before"])
        broker.kill()
        broker.start()
        assert read(broker.bootstrap, name, 1) == [b"before"]
