"""The broker that other tests stand on."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Producer

from tests.kafka.broker import Broker
from tests.kafka.fixtures import needs_a_server
from tests.kafka.jars import BrokerError
from tests.kafka.proxy import PRODUCE, Proxy
from tests.kafka.records import read, write
from tests.kafka.shared import shared_broker
from tests.kafka.topics import Topics
from tests.patience import PATIENCE

pytestmark = pytest.mark.kafka


def test_topics_are_made_written_read_and_deleted(broker: Topics, fresh: Callable[[str], str]) -> None:
    name = broker.create_topic(fresh("documents"), partitions=3, config={"cleanup.policy": "compact"})
    assert set(broker.leaders(name)) == {0, 1, 2}
    name = broker.create_topic(fresh("one"))
    write(broker.bootstrap, name, [b"a", b"b"])
    assert read(broker.bootstrap, name, 2) == [b"a", b"b"]
    broker.delete_topic(name)
    assert name not in broker.topic_names()


def test_kcat_reads_what_another_client_wrote(broker: Topics, fresh: Callable[[str], str], kcat: str) -> None:
    name = broker.create_topic(fresh("one"))
    write(broker.bootstrap, name, [b"a", b"b"])
    command = [kcat, "-q", "-b", broker.bootstrap, "-C", "-e", "-o", "beginning", "-t", name]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=True)
    assert done.stdout.split() == [b"a", b"b"]


def test_a_killed_broker_is_back_nearly_as_soon_as_it_was_started_first_with_its_data(own_broker: Broker) -> None:
    name = own_broker.create_topic("kept")
    write(own_broker.bootstrap, name, [b"before"])
    address = own_broker.bootstrap
    first = own_broker.node.took
    own_broker.kill()
    own_broker.start()
    assert own_broker.node.took < first + 8.0, "it does not wait for the registration of the dead one, as others do"
    assert own_broker.bootstrap == address
    write(address, name, [b"after"])
    assert read(address, name, 2) == [b"before", b"after"]


def test_a_suspended_broker_answers_nothing_until_it_is_resumed(own_broker: Broker) -> None:
    name = own_broker.create_topic("kept")
    producer = Producer({"bootstrap.servers": own_broker.bootstrap, "linger.ms": 0, "log_level": 0})
    producer.produce(name, b"first")
    assert producer.flush(PATIENCE) == 0
    own_broker.suspend()
    producer.produce(name, b"second")
    assert producer.flush(0.5) == 1
    own_broker.resume()
    assert producer.flush(PATIENCE) == 0
    assert read(own_broker.bootstrap, name, 2) == [b"first", b"second"]
    own_broker.stop()
    own_broker.start()
    assert read(own_broker.bootstrap, name, 2) == [b"first", b"second"]


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    needs_a_server()
    with pytest.raises(BrokerError, match=r"(?s)ended while starting.*no\.such\.Authorizer"):
        Broker(tmp_path / "broker", settings={"authorizer.class.name": "no.such.Authorizer"})


def test_workers_share_a_broker_that_ends_with_the_last_of_them(tmp_path: Path) -> None:
    needs_a_server()
    with shared_broker(tmp_path / "shared") as first:
        with shared_broker(tmp_path / "shared") as second:
            assert second == first
        socket.create_connection(("127.0.0.1", first["PLAINTEXT"])).close()
    deadline = time.monotonic() + PATIENCE
    while (tmp_path / "shared" / "server" / "data").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", first["PLAINTEXT"]))


def test_a_proxy_breaks_a_connection_at_the_request_that_was_chosen(tmp_path: Path) -> None:
    needs_a_server()
    with Proxy() as proxy, Broker(tmp_path / "broker", advertised=proxy.port) as broker:
        proxy.target = broker.port
        name = broker.create_topic("behind")
        write(broker.bootstrap, name, [b"passes"])
        proxy.before(PRODUCE, proxy.cut)
        producer = Producer({"bootstrap.servers": broker.bootstrap, "linger.ms": 0, "log_level": 0})
        producer.produce(name, b"delayed")
        assert producer.flush(1) == 1
        assert read(broker.direct, name, 1) == [b"passes"]
        proxy.heal()
        assert producer.flush(PATIENCE) == 0
        assert read(broker.bootstrap, name, 2) == [b"passes", b"delayed"]
