"""`dead-letters list | retry` on a topic of a real server."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from tests.cli_cases import tsds
from tests.kafka.test_produce import read
from tests.kafka.topics import Topics
from tsds_stream.exit_status import ExitStatus
from tsds_stream.records import DeadLetter
from tsds_stream.streams.kafka.dead_letters import encode_letter, encode_references

pytestmark = pytest.mark.kafka


def letter(reason: str, key: bytes | None, value: bytes | None, offset: int, created: int = 5) -> DeadLetter:
    source = {"topic": "documents", "partition": 1, "offset": offset}
    return DeadLetter(reason, f"because {reason}", source, key, value, created, (("trace", b"7"),))


@pytest.fixture
def folder(broker: Topics, fresh: Callable[[str], str], tmp_path: Path) -> Path:
    """A configuration, and a topic of six dead letters."""
    names = {use: broker.create_topic(fresh(use), 2) for use in ("documents", "letters")}
    (tmp_path / "tsds.toml").write_text(
        f"""
        [source]
        kind = "kafka"
        [sink]
        kind = "kafka"
        [kafka]
        bootstrap_servers = "{broker.bootstrap}"
        [kafka.topics]
        documents = "{names["documents"]}"
        dead_letters = "{names["letters"]}"
        [[target_sets]]
        targets = "targets.jsonl"
        """
    )
    producer = Producer({"bootstrap.servers": broker.bootstrap, "log_level": 0})
    records = [
        encode_letter(letter("decode", b"a", b"{torn", 10)),
        encode_letter(letter("decode", b"a", b"{torn", 11)),
        encode_letter(letter("no_text", None, b"{}", 12, created=9)),
        encode_letter(letter("id", None, None, 13)),
        encode_references(letter("too_large", b"big", b"x" * 100, 14))[0],
        encode_letter(letter("too_large", b"fits", b"y" * 100, 15)),
    ]
    for one in records:
        producer.produce(names["letters"], one.value, one.key, headers=list(one.headers))
    assert producer.flush(30) == 0
    (tmp_path / "names.json").write_text(json.dumps(names))
    return tmp_path


def topic_of(folder: Path, use: str) -> str:
    return str(json.loads((folder / "names.json").read_text())[use])


def test_the_letters_are_listed_with_their_places(folder: Path):
    done = tsds("dead-letters", "list", "--config", "tsds.toml", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "6 dead letters: " in done.stdout
    assert all(part in done.stdout for part in ("decode 2", "too_large 2", "no_text 1", "id 1"))
    assert "documents/1:10" in done.stdout
    assert "because no_text" in done.stdout.splitlines()[-1], "the newest is the last"
    some = tsds("dead-letters", "list", "--config", "tsds.toml", "--reason", "decode", "--json", cwd=folder)
    assert [json.loads(line)["source"]["offset"] for line in some.stdout.splitlines()] == [10, 11]


def test_a_retry_sends_the_originals_once_and_names_what_is_lost(folder: Path, broker: Topics):
    done = tsds("dead-letters", "retry", "--config", "tsds.toml", cwd=folder)
    assert done.returncode == 0, done.stderr
    documents = topic_of(folder, "documents")
    assert f"3 records sent to {documents} again; 1 repeated ones left out" in done.stderr
    assert "2 records cannot be retried because the value was not kept" in done.stderr
    found = read(broker, documents)
    assert sorted(found, key=repr) == sorted([(b"a", b"{torn"), (b"fits", b"y" * 100), (None, b"{}")], key=repr)
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "nobody", "log_level": 0})
    consumer.assign([TopicPartition(documents, number, 0) for number in range(2)])
    headers = [message.headers() for message in consumer.consume(3, 10)]
    consumer.close()
    assert headers == [[("trace", b"7")]] * 3


def test_a_retry_of_some_reasons_or_into_a_file(folder: Path, broker: Topics):
    assert tsds("dead-letters", "retry", "--config", "tsds.toml", "--reason", "no_text", cwd=folder).returncode == 0
    assert read(broker, topic_of(folder, "documents")) == [(None, b"{}")]
    words = ("--reason", "decode", "--output", "again.jsonl")
    assert tsds("dead-letters", "retry", "--config", "tsds.toml", *words, cwd=folder).returncode == 0
    assert (folder / "again.jsonl").read_bytes() == b"{torn\n"
    some = tsds("dead-letters", "list", "--config", "tsds.toml", "--reason", "unheard_of", cwd=folder)
    assert some.stdout == "There are no dead letters with this reason.\n"


def test_a_file_to_be_mended_has_the_keys_as_ids_and_one_line_for_each_record(folder: Path, broker: Topics):
    producer = Producer({"bootstrap.servers": broker.bootstrap, "log_level": 0})
    for one in (
        letter("no_text", b"named", b'{"txt": 1}', 20),
        letter("no_text", b"key", b'{"id": "own", "txt": 1}', 21),
        letter("no_text", b"pretty", b'{\n  "txt": 1\n}', 22),
    ):
        wire = encode_letter(one)
        producer.produce(topic_of(folder, "letters"), wire.value, wire.key, headers=list(wire.headers))
    assert producer.flush(30) == 0
    done = tsds("dead-letters", "retry", "--config", "tsds.toml", "--output", "mend.jsonl", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "2 records cannot be retried" in done.stderr, "of those that are too large, only one was cut"
    assert sorted((folder / "mend.jsonl").read_bytes().splitlines()) == [
        b"y" * 100, b'{"id":"named","txt":1}', b'{"id":"own","txt":1}', b'{"id":"pretty","txt":1}', b"{torn", b"{}"
    ]  # fmt: skip


def test_what_cannot_work_is_refused(folder: Path):
    assert tsds("dead-letters", "list", cwd=folder).returncode == ExitStatus.USAGE
    both = tsds("dead-letters", "list", ".", "--config", "tsds.toml", cwd=folder)
    assert "give one of DIR and --config FILE" in both.stderr
    file = folder / "tsds.toml"
    file.write_text(file.read_text().replace(topic_of(folder, "letters"), "absent"))
    gone = tsds("dead-letters", "list", "--config", "tsds.toml", cwd=folder)
    assert gone.returncode == ExitStatus.INPUT
    assert "'absent'" in gone.stderr
