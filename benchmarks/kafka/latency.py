"""From the time stamp of a record to the revision that reflects it, before the eyes of a consumer that is not ours."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
from confluent_kafka import Consumer, TopicPartition
from numpy.typing import NDArray

from benchmarks.corpus import Corpus
from benchmarks.kafka.filling import embedded_documents, fill, write_targets
from benchmarks.kafka.throughput import difference
from benchmarks.kafka.world import Json, Stand, World
from benchmarks.report import Part

_INTERVAL = 0.5  # seconds between revisions
_PATIENCE = 15.0


class Watcher:
    """A read_committed librdkafka consumer: when each revision, with all of its records, could be seen.

    Attributes:
        revisions: (seconds since the epoch, revision record), in order.
        entered: place in the documents topic of every record sent -> number of its first revision.
    """

    def __init__(self, stand: Stand) -> None:
        self.revisions: list[tuple[float, Json]] = []
        self.entered: dict[tuple[int, int], int] = {}
        self._selection, self._revisions = stand.topics["selection"], stand.topics["revisions"]
        self._seen = 0
        self._consumer = Consumer(
            {
                "bootstrap.servers": stand.world.bootstrap,
                "group.id": "a-reader",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "log_level": 0,
            }
        )
        self._consumer.assign([TopicPartition(self._selection, 0, 0), TopicPartition(self._revisions, 0, 0)])
        self._waiting: list[Json] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        self._consumer.close()

    def _run(self) -> None:
        while not self._over.is_set():
            for message in self._consumer.consume(500, 0.05):
                if message.error():
                    raise RuntimeError(str(message.error()))
                value = message.value()
                if message.topic() == self._revisions:
                    self._waiting.append(json.loads(value or b""))
                    continue
                self._seen = int(message.offset() or 0) + 1
                if value and not (message.key() or b"").startswith(b":"):
                    record = json.loads(value)
                    place = record["source"]["partition"], record["source"]["offset"]
                    self.entered.setdefault(place, record["revision"])
            now = time.time()
            while self._waiting and self._waiting[0]["selection_end"].get("0", 0) <= self._seen:
                self.revisions.append((now, self._waiting.pop(0)))


def measure(world: World, corpus: Corpus, quick: bool) -> Part:
    """Documents come at half of the rate at which the daemon has worked through those before."""
    part = Part()
    warm, seconds = (20_000, 4.0) if quick else (150_000, 20.0)
    documents = world.topic("documents")
    fill(world.bootstrap, documents, embedded_documents(corpus, warm))
    stand = world.stand(
        documents,
        write_targets(world.folder / "targets.jsonl", corpus),
        {"embedder": {"kind": "precomputed"}, "publish": {"interval": _INTERVAL}},
    )
    daemon = stand.start()
    first = daemon.until(lambda now: now["documents_applied"] >= warm // 3, "a third of the documents to warm up")
    last = daemon.until(
        lambda now: now["documents_applied"] >= warm and now["t"] > first["t"], "the documents to warm up"
    )
    capacity = (last["documents_applied"] - first["documents_applied"]) / (last["t"] - first["t"])
    rate = capacity / 2
    results = world.folder / "sent.npz"
    command = [sys.executable, "-m", "benchmarks.kafka.load", world.bootstrap, documents, str(warm)]
    command += [str(int(rate * seconds)), str(rate), str(results), *["--quick"] * quick]
    root = Path(__file__).resolve().parent.parent.parent
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root) as load:
        assert load.stdin is not None
        assert load.stdout is not None
        load.stdout.readline()
        watcher = Watcher(stand)
        before = daemon.statistics()[-1]
        load.stdin.write("go\n")
        load.stdin.close()
        load.wait(seconds * 3 + 60)
    sent = dict(np.load(results))
    _await_the_last(watcher, sent)
    after = daemon.statistics()[-1]
    daemon.stop()
    watcher.close()
    everything, selected = latencies(watcher, sent)
    part.details = {
        "capacity": round(capacity),
        "rate": round(rate),
        "daemon": difference(before, after),
        "every record": _percentiles(everything),
        "those that were selected": _percentiles(selected),
        "not reflected at the end": int(len(sent["time"]) - len(everything)),
    }
    p50, p99 = np.percentile(everything, [50, 99])
    part.add(
        f"record produced → revision that reflects it visible to a read_committed consumer, at half load "
        f"({rate:,.0f} documents/s), publish.interval 0.5 s",
        "p50 < 1 s, p99 < 3 s",
        f"p50 {p50:.2f} s, p99 {p99:.2f} s, at most {everything.max():.2f} s over {len(everything):,} records; those "
        f"{len(selected):,} that entered the selection themselves: "
        + (f"{np.percentile(selected, 50):.2f} s and {np.percentile(selected, 99):.2f} s" if len(selected) else "none"),
        bool(p50 < 1 and p99 < 3),
    )
    return part


def _await_the_last(watcher: Watcher, sent: dict[str, NDArray[np.int64]]) -> None:
    """Until a revision covers most of the last second; the end of a stream changes nothing any more at some time."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        if watcher.revisions and len(_covered(watcher.revisions[-1][1], sent)) == len(sent["time"]):
            return
        time.sleep(0.1)


def _covered(record: Json, sent: dict[str, NDArray[np.int64]]) -> NDArray[np.intp]:
    limits = np.zeros(1 + int(sent["partition"].max()), np.int64)
    for number, offset in record["positions"]["documents"].items():
        if int(number) < len(limits):
            limits[int(number)] = offset
    return np.flatnonzero(sent["offset"] < limits[sent["partition"]])


def latencies(watcher: Watcher, sent: dict[str, NDArray[np.int64]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Seconds, of every record that a revision covers, and of those that were sent as selected."""
    seen = np.full(len(sent["time"]), np.inf)
    for at, record in reversed(watcher.revisions):
        seen[_covered(record, sent)] = at
    took = seen - sent["time"] / 1000
    when = {record["revision"]: at for at, record in watcher.revisions}
    places = zip(sent["partition"].tolist(), sent["offset"].tolist(), strict=True)
    times = dict(zip(places, (sent["time"] / 1000).tolist(), strict=True))
    own = [when[number] - times[place] for place, number in watcher.entered.items() if place in times]
    return took[np.isfinite(took)], np.array(own)


def _percentiles(seconds: NDArray[np.float64]) -> Json:
    if not len(seconds):
        return {"count": 0}
    found = np.percentile(seconds, [50, 90, 99, 99.9, 100]).round(3).tolist()
    return {"count": len(seconds), **dict(zip(("p50", "p90", "p99", "p99.9", "most"), found, strict=True))}
