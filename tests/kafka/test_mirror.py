"""A directory that is kept up to date from real topics: processes that die, brokers that go away."""

from __future__ import annotations

import logging
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.kafka.broker import Broker
from tests.kafka.publishing import Publishing, rows, sliding
from tests.kafka.shared import ROOT
from tests.kafka.test_targets import opened, send
from tests.kafka.test_view import awaited, view_of
from tests.kafka.topics import Topics
from tests.patience import PATIENCE
from tests.streams.test_kafka_targets_fake import Lines, eventually
from tsds_stream.cli import main
from tsds_stream.streams.kafka import SelectionMirror
from tsds_stream.streams.revisions import list_revisions, open_revision

pytestmark = pytest.mark.kafka

COPY = """
import sys
from tsds_stream.streams.kafka import SelectionMirror
bootstrap, selection, revisions, path = sys.argv[1:]
SelectionMirror(bootstrap, selection, path, revisions=revisions, sets=("default", "other"), keep_revisions=5).serve()
"""


def mirror_of(topics: Publishing, root: Path) -> SelectionMirror:
    return SelectionMirror(
        topics.connection,
        topics.selection,
        root,
        revisions=topics.revisions,
        sets=("default", "other"),
        keep_revisions=5,
        log=Lines(),
    )


def check(topics: Publishing, root: Path) -> None:
    """Every revision that is kept is exactly what was published."""
    for name in ("default", "other"):
        records, damages = list_revisions(root, name)
        assert not damages
        assert records
        for record in records:
            revision = open_revision(root, name, record["revision"])
            revision.verify()
            assert rows({one["id"]: one for one in revision}) == topics.truth[name, record["revision"]]


def test_a_copy_is_whole_after_any_number_of_kills_and_reaches_the_newest_revision(
    broker: Topics, fresh, tmp_path: Path, capsys
) -> None:
    root = tmp_path / "copy"
    with Publishing(broker, fresh) as topics:
        kill_and_check(topics, root)
    assert main(["inspect", str(root), "--verify"]) == 0
    assert main(["inspect", str(root)]) == 0
    assert "A copy made from topics" in capsys.readouterr().out


def kill_and_check(topics: Publishing, root: Path) -> None:
    topics.publish({"default": sliding(0), "other": sliding(1)})
    command = [sys.executable, "-c", COPY, topics.bootstrap, topics.selection, topics.revisions, str(root)]
    chance, n = random.Random(3), 0
    for _ in range(5):
        process = subprocess.Popen(command, cwd=ROOT)
        end = time.monotonic() + chance.uniform(0.7, 1.5)
        while time.monotonic() < end:
            n += 1
            topics.publish({"default": sliding(n), **({"other": sliding(2 * n)} if n % 3 else {})})
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if (root / "default" / "LATEST").exists() and (root / "other" / "LATEST").exists():
            check(topics, root)
    mirror = mirror_of(topics, root)
    mirror.start()
    for name, number in topics.numbers.items():
        assert mirror.wait_for(name, number, PATIENCE), mirror.problem
    check(topics, root)
    eventually((root / "heartbeat.json").exists)
    mirror.stop()


def test_view_copy_and_targets_go_on_after_an_outage_of_the_broker(own_broker: Broker, tmp_path: Path, caplog) -> None:
    caplog.set_level(logging.CRITICAL, "kafka")  # its records would keep the sockets that were refused
    with Publishing(own_broker, lambda name: name) as topics:
        topics.publish({"default": sliding(0), "other": sliding(1)})
        away_and_back(own_broker, topics, tmp_path)
    check(topics, tmp_path)


def away_and_back(own_broker: Broker, topics: Publishing, root: Path) -> None:
    examples = own_broker.create_topic("targets")
    send(own_broker, examples, {"default/a": {"text": "a"}})
    targets, mirror = opened(own_broker, examples, Lines()), mirror_of(topics, root)
    reader = targets.reader("default")
    mirror.start()
    with view_of(topics) as view:
        awaited(view, topics, 1)
        assert mirror.wait_for("other", 1, PATIENCE)
        assert len(reader.read()) == 1
        own_broker.kill()
        for _ in range(5):
            assert view.poll(0.1) is None
        assert not reader.changed()
        own_broker.start()
        topics.sink.close()
        topics.open()
        for n in range(1, 4):
            topics.publish({"default": sliding(n)})
        send(own_broker, examples, {"default/b": {"text": "b"}})
        awaited(view, topics, 4)
        assert mirror.wait_for("default", 4, PATIENCE), mirror.problem
        eventually(reader.changed, PATIENCE)
        assert [one.id for one in reader.read()] == ["a", "b"]
    mirror.stop()
    targets.close()
