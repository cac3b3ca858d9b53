"""`verify` on a real server: beside a daemon that publishes, after it, and when somebody has tampered with topics."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from tests.cli_cases import ROOT, tsds
from tests.kafka.test_produce import read
from tests.kafka.topics import Topics
from tests.patience import PATIENCE
from tests.test_cli_state import sentence
from tsds_stream.config import load_settings
from tsds_stream.exit_status import ExitStatus
from tsds_stream.verification.audit import audit
from tsds_stream.verification.report import Report
from tsds_stream.verification.setting import open_setting

pytestmark = pytest.mark.kafka
COUNT = 1000  # records


@dataclass
class Place:
    """A folder with a configuration, and its topics."""

    broker: Topics
    folder: Path
    names: dict[str, str]

    def audit(self, wanted: str | int = "all") -> Report:
        """In this process."""
        with ExitStack() as stack:
            settings = load_settings(self.folder / "tsds.toml")
            return audit(open_setting(settings, stack).case, wanted)  # type: ignore[arg-type]

    def send(self, use: str, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]] | None = None):
        """A record that nobody of us has written."""
        producer = Producer({"bootstrap.servers": self.broker.bootstrap, "log_level": 0})
        producer.produce(self.names[use], value, key, headers=headers or [])
        assert producer.flush(PATIENCE) == 0

    def revisions(self, name: str = "default") -> list[dict]:
        """The records of one set."""
        records = [json.loads(value) for _, value in read(self.broker, self.names["revisions"])]
        return [record for record in records if record["set"] == name]

    def await_more(self, known: int) -> int:
        """How many revisions there are, when there are more than so many, or seem to be none to come."""
        deadline = time.monotonic() + 2
        while (found := len(self.revisions())) <= known and time.monotonic() < deadline:
            time.sleep(0.1)
        return found

    def wait(self, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not done():
            assert time.monotonic() < deadline, "it takes too long"
            time.sleep(0.1)


@pytest.fixture(scope="module")
def place(broker: Topics, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Topics with targets, of which one set takes its own from a topic."""
    folder = tmp_path_factory.mktemp("verify")
    names = {use: f"{use}-{os.urandom(4).hex()}" for use in ("documents", "targets", "selection", "revisions")}
    names["dead_letters"] = names["documents"].replace("documents", "dead")
    random = np.random.default_rng(11)
    lines = [json.dumps({"id": f"t{i}", "text": sentence(random)}) for i in range(5)]
    (folder / "file.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "topic.jsonl").write_text("\n".join(lines[:3]) + "\n")
    topics = "\n".join(f'{use} = "{name}"' for use, name in names.items())
    (folder / "tsds.toml").write_text(
        f"""
        [source]
        kind = "kafka"
        [sink]
        kind = "kafka"
        [kafka]
        bootstrap_servers = "{broker.bootstrap}"
        transactional_id = "{names["documents"]}"
        group_id = "{names["documents"]}"
        [kafka.topics]
        {topics}
        [embedder]
        kind = "hashing"
        dimension = 64
        [publish]
        interval = "100ms"
        [state]
        directory = "{folder / "state"}"
        [[target_sets]]
        targets = "{folder / "file.jsonl"}"
        budget = 10
        calibration = 300
        slack = 1000
        [[target_sets]]
        name = "other"
        budget = 6
        sigma = 0.6
        mode = "turns"
        slack = 1000
        """
    )
    made = tsds("topics", "--create", "--config", folder / "tsds.toml", "--partitions", "3")
    assert made.returncode == 0, made.stdout + made.stderr
    done = tsds("produce", folder / "topic.jsonl", "--config", folder / "tsds.toml", "--targets", "other")
    assert done.returncode == 0, done.stderr
    return Place(broker, folder, names)


@pytest.fixture(scope="module")
def published(place: Place) -> list[Report]:
    """A daemon has followed the topic; the reports of audits that were made beside it."""
    reports: list[Report] = []
    command = [sys.executable, "-m", "tsds_stream", "run", "--config", str(place.folder / "tsds.toml")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    with (place.folder / "log").open("w") as log:
        daemon = subprocess.Popen(command, env=environment, stderr=log)
        try:
            place.wait(lambda: "started" in (place.folder / "log").read_text())
            feeder = threading.Thread(target=feed, args=(place,))
            feeder.start()
            place.wait(lambda: bool(place.revisions("other")))
            while feeder.is_alive() or len(reports) < 2 or reports[-1].records < COUNT:
                reports.append(place.audit(3))
                assert len(reports) < 100, "the daemon does not come to the end of the topic"
            feeder.join()
        finally:
            daemon.send_signal(signal.SIGTERM)
            assert daemon.wait(PATIENCE) == 0, (place.folder / "log").read_text()
    return reports


def feed(place: Place) -> None:
    """Records over a few seconds: new ones, new versions, retractions, poison; and a late target."""
    random, known = np.random.default_rng(12), 0
    producer = Producer({"bootstrap.servers": place.broker.bootstrap, "log_level": 0, "linger.ms": 5})
    for i in range(COUNT):
        name = f"d{int(random.integers(0, i + 1)) if i % 10 == 3 else i}".encode()
        value: bytes | None = json.dumps({"text": sentence(random)}).encode()
        if i % 40 == 7:
            value = [b"{torn", b'{"text": 3}', b"\xff\xfe", b'{"id": ""}'][i // 40 % 4]
        elif i % 40 == 9:
            value = None
        producer.produce(place.names["documents"], value, name)
        if i % 100 == 0:
            producer.flush(PATIENCE)
            known = place.await_more(known)
        if i == 500:
            late = json.dumps({"id": "late", "text": sentence(random)})
            place.send("targets", b"other/late", late.encode())
    assert producer.flush(PATIENCE) == 0


def kinds(report: Report) -> set[str]:
    return {fault.kind for fault in report.faults}


def test_an_audit_beside_a_daemon_that_publishes_finds_nothing_wrong(place: Place, published: list[Report]):
    assert len(published) >= 2
    for report in published:
        assert (report.faults, report.cannot) == ([], [])
    assert any(one.compared for report in published for one in report.sets.values())


def test_every_revision_of_every_set_is_equal_to_what_the_documents_give(place: Place, published: list[Report]):
    done = tsds("verify", "--config", place.folder / "tsds.toml", "--revisions", "all", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["records"] == COUNT
    assert report["dead_letters"] == {"expected": 25, "found": 25}
    for name in ("default", "other"):
        one = report["sets"][name]
        assert one["revisions"] == one["last"] == len(place.revisions(name)) > 5
        assert len(one["compared"]) > one["revisions"] // 2
        assert all("not exact" in why or "targets" in why for why in one["skipped"].values())
        assert one["selection"] == "compared"
    late = [record for record in place.revisions("other") if record["targets_active"] == 4]
    assert {record["revision"] for record in late} & set(report["sets"]["other"]["compared"])
    early = [record for record in place.revisions("other") if record["targets_active"] == 3]
    assert {record["revision"] for record in early} & set(report["sets"]["other"]["compared"]), "as they were then"


def test_whatever_is_tampered_with_is_found(place: Place, published: list[Report]):
    """One thing after another, each on top of those before it."""
    assert kinds(place.audit(1)) == set()
    letters = place.names["dead_letters"]
    source = {"topic": place.names["documents"], "partition": 0, "offset": 0}
    headers = [
        ("tsds-reason", b"decode"),
        ("tsds-detail", b"-"),
        ("tsds-source", json.dumps(source).encode()),
        ("tsds-created", b"1"),
    ]
    place.send("dead_letters", b"x", b"y", headers)
    assert kinds(place.audit(1)) == {"extra_letter"}, letters
    place.send("dead_letters", b"x", b"y", headers)
    assert kinds(place.audit(1)) == {"extra_letter", "double_letter"}

    last = place.revisions()[-1]
    held = dict(read(place.broker, place.names["selection"]))
    member = next(key for key, value in held.items() if key and key.startswith(b"default/") and value)
    place.send("selection", member, None, [("revision", str(last["revision"]).encode())])
    found = place.audit(1)
    assert {"published_digest", "members"} <= kinds(found)
    assert next(one for one in found.faults if one.kind == "members").details["missing"] == [member.decode()[8:]]

    place.send("revisions", b"default", json.dumps(last).encode())
    assert "numbers" in kinds(place.audit(1))
    forged = {**last, "revision": last["revision"] + 1, "digest": "0" * 32, "added": 0, "removed": 0}
    place.send("revisions", b"default", json.dumps(forged).encode())
    found = place.audit(1)
    assert [one.revision for one in found.faults if one.kind == "digest"] == [last["revision"] + 1]

    place.send("documents", b"poison", b"{torn")
    marks = [
        pair for pair in read(place.broker, place.names["selection"]) if (pair[0] or b"").startswith(b":published:")
    ]
    mark = json.loads(marks[-1][1] or b"")
    consumer = Consumer({"bootstrap.servers": place.broker.bootstrap, "group.id": "nobody", "log_level": 0})
    for number in range(3):
        end = consumer.get_watermark_offsets(TopicPartition(place.names["documents"], number), timeout=10)[1]
        mark["positions"]["documents"][str(number)] = end
    consumer.close()
    mark["publication"] += 1
    place.send("selection", marks[-1][0], json.dumps(mark).encode())
    assert "lost_letter" in kinds(place.audit(1))
    done = tsds("verify", "--config", place.folder / "tsds.toml")
    assert done.returncode == ExitStatus.STATE
    assert "WRONG: " in done.stdout
