"""Hours in ten minutes: thousands of revisions, checkpoints, changed examples, outages of the embedder."""

from __future__ import annotations

import json
import random
import re
import threading
import time
from collections import Counter
from pathlib import Path

from benchmarks.corpus import Corpus
from benchmarks.kafka.filling import fast_producer
from benchmarks.kafka.resources import Resources
from benchmarks.kafka.world import Json, Stand, World
from benchmarks.report import Part

_RATE = 3000.0  # records per second: at full speed, revisions would take turns with the documents that wait
_AHEAD = 20_000  # records that wait for the daemon, at most
_BURST = 100
_IDS = 200_000  # after so many, ids come again with other texts
_RETARGET = 6.0  # seconds
_EXAMPLES = 200  # more than are withdrawn while the past is re-read for new ones: some always take part
_LAST = 1 / 3  # of the time is judged: re-readings grow until the ids come again, and caches and lists fill before it
# What the C library keeps free in the heaps of some fifteen threads comes and goes with whole re-readings, and is given
# back when asked for. It is told with the rest, and not held against the program.
_LIMITS = {"resident MB without free heap": 16.0, "open files": 2.0, "threads": 1.0, "state MB": 16.0}  # over that
_MOST_LINES = 600  # of log for the whole time, all trouble included


class Flow(threading.Thread):
    """Documents, new versions, retractions and what is no document, not faster than the daemon takes them."""

    def __init__(self, stand: Stand, texts: list[str]) -> None:
        super().__init__(daemon=True)
        self.sent = 0
        self.over = threading.Event()
        self._stand = stand
        self._texts = texts
        self._chosen = random.Random(0)

    def run(self) -> None:
        producer = fast_producer(self._stand.world.bootstrap, linger=20)
        daemon = self._stand.lives[-1]
        due = time.monotonic()
        while not self.over.is_set():
            lines = daemon.statistics()
            done = lines[-1]["documents_applied"] + lines[-1]["dead_letters"] if lines else 0
            if self.sent - done > _AHEAD:
                time.sleep(0.05)
                continue
            due = max(due + _BURST / _RATE, time.monotonic() - 1.0)
            time.sleep(max(0.0, due - time.monotonic()))
            for _ in range(_BURST):
                key, value = self._record()
                producer.produce(self._stand.topics["documents"], value, key)
                self.sent += 1
            producer.poll(0)
        producer.flush(30)

    def _record(self) -> tuple[bytes, bytes | None]:
        number, kind = self.sent % _IDS, self._chosen.random()
        if kind < 0.02:
            return b"%d" % self._chosen.randrange(_IDS), None
        if kind < 0.021:
            return b"%d" % number, b'{"text": '
        value = {"id": str(number), "text": self._chosen.choice(self._texts), "meta": {"n": self.sent}}
        return b"%d" % number, json.dumps(value).encode()


def measure(world: World, corpus: Corpus, quick: bool) -> Part:
    """Revisions twenty times a second, a checkpoint every three seconds, examples that come and go."""
    part = Part()
    seconds = 15.0 if quick else 600.0
    texts = corpus.lines(60_000)
    documents = world.topic("documents", retention_bytes=64 * 2**20, segment_bytes=16 * 2**20)
    targets = world.folder / "targets.jsonl"
    _write_targets(targets, texts, 0)
    stand = world.stand(
        documents,
        targets,
        {
            "embedder": {"kind": "hashing", "dimension": 128},
            "publish": {"interval": 0.05},
            "state": {"checkpoint_interval": 3.0},
        },
    )
    daemon = stand.start(TSDS_BENCH_OUTAGES="1", TSDS_BENCH_MEMORY="5")
    flow = Flow(stand, texts)
    daemon.until(lambda now: True, "the start")
    flow.start()
    began, changes = time.monotonic(), 0
    with Resources(daemon, stand.state) as resources:
        while (passed := time.monotonic() - began) < seconds:
            daemon.must_run()
            if passed > (changes + 1) * _RETARGET:
                changes += 1
                _write_targets(targets, texts, changes)
            time.sleep(0.1)
    flow.over.set()
    flow.join()
    last = daemon.statistics()[-1]
    daemon.stop()
    looks = daemon.lines("memory")
    held = [one["megabytes"]["resident"] - one["megabytes"]["free heap"] for one in looks]
    resources.take("resident MB without free heap", [one["t"] for one in looks], held)
    growth = {name: round(resources.growth(name, _LAST), 2) for name in ("resident MB", *_LIMITS)}
    lines = daemon.said().splitlines()
    revisions = last["sets"]["default"]["revision"]
    part.details = {
        "seconds": seconds,
        "records": flow.sent,
        "revisions": revisions,
        "checkpoints": last["checkpoints"],
        "outages of the embedder": last["embedder_outages"],
        "changes of the targets": changes,
        "dead letters": last["dead_letters"],
        "missing payloads": last["missing_payloads"],
        "memory": [{name: line[name] for name in ("megabytes", "blocks", "collected", "sets")} for line in looks[::12]],
        "resources": resources.summary(_LAST),
        "lines by event": _events(lines),
        "log": lines[:60],
    }
    part.add(
        f"soak: {seconds / 60:.0f} minutes with {last['documents_applied']:,} documents, {revisions:,} revisions, "
        f"{last['checkpoints']} checkpoints, {changes} changes of the examples, {last['embedder_outages']} outages of "
        "the embedder",
        "memory in use, open files, threads and disk flat; a log that can be read",
        "over the last third: "
        + ", ".join(f"{name} {value:+.1f} (most {resources.most(name):.0f})" for name, value in growth.items())
        + f"; {len(lines)} lines of log",
        all(growth[name] < limit for name, limit in _LIMITS.items())
        and len(lines) < _MOST_LINES
        and not last["checkpoint_failures"],
    )
    return part


def _write_targets(path: Path, texts: list[str], change: int) -> None:
    """So many examples, of which one is another one each time; in one step."""
    chosen: list[Json] = [{"id": f"t{k}", "text": texts[k]} for k in range(change, change + _EXAMPLES)]
    beside = path.with_name("targets.partial")
    beside.write_text("".join(json.dumps(one) + "\n" for one in chosen))
    beside.replace(path)


def _events(lines: list[str]) -> dict[str, int]:
    found = Counter(match[1] if (match := re.match(r"\S+ \w+ +(.+?)(?: \w+=|$)", line)) else "?" for line in lines)
    return dict(found.most_common())
