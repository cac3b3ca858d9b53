"""Revisions from real topics: exact while they are published and compacted, at hand while the broker is away."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import pytest

from tests.kafka.broker import Broker
from tests.kafka.publishing import Publishing, rows, sliding
from tests.kafka.topics import Topics
from tests.loader.test_topics import eventually
from tsds_stream.loader.errors import RevisionError
from tsds_stream.loader.revisions import Revisions

pytestmark = pytest.mark.kafka


def url_of(topics: Publishing) -> str:
    return f"kafka://{topics.bootstrap}/{topics.selection}?revisions={topics.revisions}"


def threads_of_ours() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(("mirror", "lease"))]


def check(topics: Publishing, revisions: Revisions) -> None:
    for number in revisions.numbers():
        revision = revisions.at(number)
        revision.verify()
        assert rows({one["id"]: one for one in revision}) == topics.truth[revisions.target_set, number]


def test_every_revision_of_a_copy_is_what_was_published(broker: Topics, fresh, tmp_path: Path) -> None:
    with Publishing(broker, fresh) as topics:
        topics.publish({"default": sliding(0), "other": sliding(1)})
        topics.publish({"default": sliding(1)})
        with Revisions.open(url_of(topics), cache=tmp_path) as revisions:
            assert revisions.newest() == 2
            for n in range(2, 40):
                topics.publish({"default": sliding(n)})
                if n % 5 == 0:
                    topics.abort()
                    check(topics, revisions)
            eventually(lambda: revisions.newest() == 40)
            check(topics, revisions)
            eventually(lambda: revisions.heartbeat() is not None)
            assert len(threads_of_ours()) == 2
        assert threads_of_ours() == []
        with Revisions.open(url_of(topics), "other", cache=tmp_path) as revisions:
            check(topics, revisions)


def test_a_copy_is_read_while_the_broker_is_away(own_broker: Broker, tmp_path: Path, caplog) -> None:
    caplog.set_level(logging.CRITICAL, "kafka")  # its records would keep the sockets that were refused
    with Publishing(own_broker, lambda name: name) as topics:
        topics.publish({"default": sliding(0)})
        with Revisions.open(url_of(topics), cache=tmp_path) as revisions:
            assert revisions.newest() == 1
        own_broker.kill()
        with Revisions.open(url_of(topics), cache=tmp_path) as revisions:
            check(topics, revisions)
            own_broker.start()
            topics.sink.close()
            topics.open()
            topics.publish({"default": sliding(1)})
            eventually(lambda: revisions.newest() == 2)
            check(topics, revisions)


def test_a_broker_that_does_not_answer_is_told_in_time(tmp_path: Path, caplog) -> None:
    caplog.set_level(logging.CRITICAL, "kafka")
    with pytest.raises(
        RevisionError, match=r"No revision of target set 'default' has come from kafka://127\.0\.0\.1:1/s"
    ):
        Revisions.open("kafka://127.0.0.1:1/s", cache=tmp_path, timeout=1.0)
    assert threads_of_ours() == []
