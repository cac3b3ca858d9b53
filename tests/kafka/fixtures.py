"""Fixtures of the tests that need a Kafka server.

`broker` is one for all tests and workers: use names of `fresh`, break nothing. `own_broker` belongs to one test.
`TSDS_TEST_KAFKA=host:port` gives a running server for `broker`. Where no server can be started for want of Java or
Maven, the tests are skipped and the end of the run says so; with `TSDS_CI=1` they fail.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from confluent_kafka import KafkaException

from tests.kafka.broker import Broker
from tests.kafka.cluster import Cluster
from tests.kafka.jars import chosen_version, installed
from tests.kafka.security import SecureBroker
from tests.kafka.shared import shared_broker
from tests.kafka.topics import Topics

SKIPPED = "no Kafka server for this test: "


def needs_a_server() -> str:
    """The version of the server to start; skips the test, or fails it in CI, where none can be started."""
    version = chosen_version()
    missing = installed(version)
    if missing is not None:
        refuse(SKIPPED + missing)
    return version


def refuse(reason: str) -> NoReturn:
    """Skip, or fail where everything is said to be installed."""
    if os.environ.get("TSDS_CI") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line that nobody overlooks, however many tests were skipped."""
    skipped = [report for report in terminalreporter.stats.get("skipped", ()) if SKIPPED in str(report.longrepr)]
    if skipped:
        reason = str(skipped[0].longrepr[2]).split(SKIPPED)[-1]
        line = f"{len(skipped)} tests with Kafka were NOT RUN: {reason}, or set TSDS_TEST_KAFKA=host:port"
        terminalreporter.write_line(line, red=True, bold=True)


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Topics]:
    """The server of this test run: `.bootstrap`, `.create_topic(name, partitions, config)`, `.delete_topic(name)`."""
    given = os.environ.get("TSDS_TEST_KAFKA")
    if given:
        topics = Topics(given)
        try:
            topics.topic_names()
        except KafkaException as error:
            pytest.fail(f"TSDS_TEST_KAFKA={given}: that server does not answer: {error}", pytrace=False)
        yield topics
        for name in topics.topic_names().intersection(topics.made):
            topics.delete_topic(name)
        return
    needs_a_server()
    with shared_broker(run_folder(tmp_path_factory) / "kafka-broker") as ports:
        yield Topics(f"127.0.0.1:{ports['PLAINTEXT']}")


@pytest.fixture(scope="session")
def secure_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureBroker]:
    """One for all as well, with listeners that want TLS, a user and a password: see `SecureBroker`."""
    needs_a_server()
    if shutil.which("openssl") is None:
        refuse(SKIPPED + "no openssl is installed, which makes the keys: install it (Debian: openssl)")
    folder = run_folder(tmp_path_factory) / "kafka-secure"
    with shared_broker(folder, "secure") as ports:
        yield SecureBroker(ports, folder / "server")


def run_folder(factory: pytest.TempPathFactory) -> Path:
    """The temporary folder of the test run; those of its workers lie in it."""
    base = factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture
def fresh() -> Callable[[str], str]:
    """`fresh("documents")`: the same name within a test, another one in each test, for topics, groups and ids."""
    mark = uuid.uuid4().hex[:10]
    return lambda name: f"{name}-{mark}"


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    """A server for this test alone, to be killed, suspended and started again."""
    needs_a_server()
    with Broker(tmp_path / "kafka-broker") as broker:
        yield broker


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Three servers for this test alone."""
    needs_a_server()
    with Cluster(tmp_path / "kafka-cluster") as cluster:
        yield cluster


@pytest.fixture
def kcat() -> str:
    """The path of kcat, a client that is not ours."""
    found = shutil.which("kcat") or shutil.which("kafkacat")
    if found is None:
        refuse(SKIPPED + "no kcat is installed: install it (Debian: kcat)")
    return found
