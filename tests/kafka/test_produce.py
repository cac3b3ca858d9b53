"""`produce` on a real server: what stands in files arrives, under the right keys."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable
from pathlib import Path

import msgpack
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from tests.cli_cases import tsds
from tests.kafka.topics import Topics
from tests.patience import PATIENCE
from tsds_stream.codecs import Decoder, content_id
from tsds_stream.exit_status import ExitStatus

pytestmark = pytest.mark.kafka


def read(broker: Topics, topic: str) -> list[tuple[bytes | None, bytes | None]]:
    """Keys and values of everything that is committed in a topic, partition after partition."""
    settings = {"bootstrap.servers": broker.bootstrap, "group.id": "nobody", "enable.partition.eof": True}
    consumer = Consumer({**settings, "log_level": 0})
    found = []
    for number in sorted(broker.leaders(topic)):
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING)])
        deadline, ended = time.monotonic() + PATIENCE, False
        while not ended and time.monotonic() < deadline:
            for message in consumer.consume(1000, 0.2):
                error = message.error()
                ended |= error is not None and error.code() == KafkaError._PARTITION_EOF
                assert error is None or ended
                if error is None:
                    found.append((message.key(), message.value()))
        assert ended
    consumer.close()
    return found


def produce(broker: Topics, topic: str, *words: str | Path, stdin: str = ""):
    return tsds("produce", *words, "--topic", topic, "--bootstrap-servers", broker.bootstrap, stdin=stdin)


def test_files_of_every_kind_arrive_under_their_ids(broker: Topics, fresh: Callable[[str], str], tmp_path: Path):
    topic = broker.create_topic(fresh("documents"), 3)
    lines = [b'{"id": "a", "text": "first"}', b'{"text": "nameless"}', b'{"id": 7, "text": "x",  "more": 1}']
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(lines) + b'\n{"id": "gone", "deleted": true}\n')
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(b'{"id": "zipped", "text": "z"}\n'))
    vector = np.array([0.5, 0.25, 3.0], np.float32)
    packed = msgpack.packb({"id": "packed", "embedding": vector.tobytes()})
    (tmp_path / "c.msgpack").write_bytes(packed)
    table = pyarrow.table({"id": ["row"], "embedding": [vector.tolist()], "topic": ["t"]})
    pyarrow.parquet.write_table(table, tmp_path / "d.parquet")
    (tmp_path / "e.txt").write_text("a whole text")
    done = produce(broker, topic, tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"7 records sent to {topic}; 1 record to take documents away" in done.stderr
    found = dict(read(broker, topic))
    assert (found[b"a"], found[b"7"]) == (lines[0], lines[2])
    assert found[content_id("nameless").encode()] == lines[1]
    assert found[b"gone"] is None
    assert found[b"zipped"] == b'{"id": "zipped", "text": "z"}'
    assert found[b"packed"] == packed
    row = Decoder(dimension=3).document(found[b"row"])
    assert row.embedding is not None
    assert (row.id, row.embedding.tobytes(), row.meta) == ("row", vector.tobytes(), {"topic": "t"})
    assert json.loads(found[b"e.txt"]) == {"id": "e.txt", "text": "a whole text"}


def test_what_cannot_be_keyed_is_left_out_and_told(broker: Topics, fresh: Callable[[str], str], tmp_path: Path):
    topic = broker.create_topic(fresh("documents"), config={"max.message.bytes": 2000})
    file = tmp_path / "a.jsonl"
    lines = ["{not JSON", json.dumps({"id": "long", "text": "x" * 5000}), json.dumps({"id": "untold"}), '{"text": 3}']
    file.write_text("\n".join([*lines, json.dumps({"id": "good", "text": "y"}), json.dumps({"deleted": True})]) + "\n")
    done = produce(broker, topic, file)
    assert done.returncode == ExitStatus.INPUT
    assert f"{file} line 1: not JSON" in done.stderr
    assert f"{file} line 2: the line has 5" in done.stderr
    assert f"{file} line 4: text must be a string" in done.stderr
    assert f"{file} line 6: a retraction names no id" in done.stderr
    assert "2 records sent" in done.stderr
    assert "4 left out" in done.stderr
    # What has an id is sent, though no selection can use it: that is for its reader to say.
    assert [key for key, _ in read(broker, topic)] == [b"untold", b"good"]


def test_target_examples_go_under_the_name_of_their_set(broker: Topics, fresh: Callable[[str], str], tmp_path: Path):
    topic = broker.create_topic(fresh("targets"), config={"cleanup.policy": "compact"})
    (tmp_path / "t.jsonl").write_text('{"id": "x/1", "text": "one"}\n{"id": "old", "deleted": true}\n')
    (tmp_path / "t.txt").write_text("two\n\nthree\n")
    done = produce(broker, topic, tmp_path / "t.jsonl", tmp_path / "t.txt", "--targets", "task")
    assert done.returncode == 0, done.stderr
    found = dict(read(broker, topic))
    assert found[b"task/x/1"] == b'{"id": "x/1", "text": "one"}'
    assert found[b"task/old"] is None
    assert found[b"task/" + content_id("two").encode()] == b'{"text":"two"}'
    assert len(found) == 4


def test_standard_input_a_rate_and_compression(broker: Topics, fresh: Callable[[str], str]):
    topic = broker.create_topic(fresh("documents"))
    lines = "".join(json.dumps({"id": str(i), "text": "word " * 20}) + "\n" for i in range(40))
    began = time.monotonic()
    done = produce(broker, topic, "-", "--rate", "50", "--compression", "lz4", "--quiet", stdin=lines)
    assert (done.returncode, done.stderr) == (0, "")
    assert time.monotonic() - began > 0.7
    assert [key for key, _ in read(broker, topic)] == [str(i).encode() for i in range(40)]


def test_order_within_an_id_is_kept(broker: Topics, fresh: Callable[[str], str], tmp_path: Path):
    topic = broker.create_topic(fresh("documents"), 4)
    file = tmp_path / "a.jsonl"
    file.write_text("".join(json.dumps({"id": f"d{i % 50}", "text": f"version {i}"}) + "\n" for i in range(25_000)))
    assert produce(broker, topic, file).returncode == 0
    found: dict[bytes | None, list[int]] = {}
    for key, value in read(broker, topic):
        found.setdefault(key, []).append(int(json.loads(value or b"")["text"].split()[1]))
    assert sum(map(len, found.values())) == 25_000
    assert all(versions == sorted(versions) for versions in found.values())


@pytest.mark.parametrize(
    ("words", "status", "part"),
    [
        (["absent.jsonl"], ExitStatus.INPUT, "absent.jsonl does not exist"),
        (["-", "-"], ExitStatus.USAGE, "only once"),
        (["-", "--rate", "0"], ExitStatus.USAGE, "--rate"),
    ],
)
def test_what_cannot_work_is_refused(broker: Topics, fresh, words: list[str], status: ExitStatus, part: str):
    done = produce(broker, broker.create_topic(fresh("documents")), *words)
    assert done.returncode == status
    assert part in done.stderr


def test_a_missing_topic_is_an_input_and_a_missing_broker_a_state_of_the_world(broker: Topics, fresh):
    missing = produce(broker, fresh("absent"), "-")
    assert missing.returncode == ExitStatus.INPUT
    assert "there is no such topic" in missing.stderr
    gone = tsds("produce", "-", "--bootstrap-servers", "127.0.0.1:1", "--topic", "t", "--kafka-startup-timeout", "1s")
    assert gone.returncode == ExitStatus.UNAVAILABLE
