"""`tsds-stream produce`: files into a topic."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from tsds_stream.exit_status import CommandError, ExitStatus

if TYPE_CHECKING:
    from tsds_stream.config import Settings
    from tsds_stream.streams.kafka.client import Pending, Producer
    from tsds_stream.streams.kafka.feeding import Keyed, Unkeyed

USAGE = "FILE [FILE ...] [--topic NAME] [--targets SET] [--config FILE | --bootstrap-servers HOST:PORT] [--rate N]"
DESCRIPTION = (
    "Send the records of files to the documents topic: JSONL (plain, .gz, .zst), msgpack, Parquet, plain texts, "
    "directories of them, or - (stdin). The key is the id of the document; one without an id is named by its content. "
    'Values are sent as they stand in the file. {"id": ..., "deleted": true} becomes a record without a value, which '
    "takes the document away. With --targets SET the files hold target examples of that set, and go to the targets "
    "topic under the key SET/ID."
)
EXAMPLES = """\
examples:
  tsds-stream produce corpus/ --bootstrap-servers 127.0.0.1:9092 --topic documents
  tsds-stream produce day1.jsonl day2.jsonl.zst --config tsds.toml --rate 200
  tsds-stream produce targets.jsonl --config tsds.toml --targets default
  generator | tsds-stream produce - --config tsds.toml
"""
TOLD = 20  # records that were left out are told one by one
WINDOW = 10_000  # records on their way at most
PATIENCE = 60.0  # seconds for them to arrive


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    from tsds_stream.commands.kafka_options import add_kafka_options

    parser.add_argument("files", metavar="FILE", nargs="+", help="files, directories of files, or - (stdin)")
    parser.add_argument("--config", metavar="FILE", type=Path, help="a TOML file that says where the brokers are")
    parser.add_argument("--topic", metavar="NAME", help="topic to send to (default: that of the configuration)")
    parser.add_argument(
        "--targets", dest="target_set", metavar="SET", help="the files hold examples of this target set"
    )
    parser.add_argument("--rate", metavar="N", type=float, help="at most so many records per second")
    parser.add_argument("--compression", choices=("none", "gzip", "lz4", "zstd"), default="none", help="of the records")
    parser.add_argument("--quiet", action="store_true", help="no summary and no progress bar")
    add_kafka_options(parser)


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Send everything, and say what was left out."""
    if arguments.rate is not None and not arguments.rate > 0:
        raise CommandError("--rate: more than 0", ExitStatus.USAGE)
    if arguments.files.count("-") > 1:
        raise CommandError("standard input can be read only once", ExitStatus.USAGE)
    settings = _settings(arguments)
    topic = _topic(arguments, settings)
    try:
        from tsds_stream.streams.kafka.errors import KafkaFailure, Refused

        sent = _produce(arguments, settings, topic)
    except ModuleNotFoundError as error:
        sentence = f"Kafka needs the package {error.name}: pip install 'tsds-stream[kafka]'"
        raise CommandError(sentence, ExitStatus.USAGE) from error
    except KafkaFailure as error:
        status = ExitStatus.INPUT if isinstance(error, Refused) else ExitStatus.UNAVAILABLE
        raise CommandError(str(error), status) from error
    _report(sent, topic, quiet=arguments.quiet)
    return ExitStatus.INPUT if sent.left_out else ExitStatus.OK


@dataclass(slots=True)
class _Sent:
    """What became of the records."""

    documents: int = 0
    removals: int = 0
    left_out: int = 0
    reasons: list[str] = field(default_factory=list)

    def leave_out(self, where: str, why: str) -> None:
        self.left_out += 1
        if len(self.reasons) < TOLD:
            self.reasons.append(f"{where}: {why}")


def _settings(arguments: argparse.Namespace) -> Settings:
    from tsds_stream.config import load_without_targets

    return load_without_targets(arguments.config, arguments.overrides)


def _topic(arguments: argparse.Namespace, settings: Settings) -> str:
    topics = settings.kafka.topics
    topic = arguments.topic or (topics.documents if arguments.target_set is None else topics.targets)
    if topic is None:
        raise CommandError(
            "the configuration names no topic of targets: give --topic, or [kafka.topics] targets", ExitStatus.USAGE
        )
    names = [one.name for one in settings.target_sets]
    if arguments.config is not None and arguments.target_set is not None and arguments.target_set not in names:
        raise CommandError(
            f"--targets: the configuration has no target set {arguments.target_set!r}, but {', '.join(names)}",
            ExitStatus.USAGE,
        )
    return str(topic)


def _produce(arguments: argparse.Namespace, settings: Settings, topic: str) -> _Sent:
    from tsds_stream.streams.chained import total_bytes
    from tsds_stream.streams.kafka.client import Admin, Producer
    from tsds_stream.streams.kafka.connection import connection_of
    from tsds_stream.streams.kafka.errors import Refused
    from tsds_stream.streams.kafka.feeding import Feed
    from tsds_stream.terminal import progress

    connection = connection_of(settings.kafka)
    with closing(Admin(connection)) as admin:
        found = admin.topics([topic])[topic]
        if found.problem:
            raise Refused(f"topic {topic!r}: {found.problem} (tsds-stream topics --create makes the missing ones)")
        largest = int(admin.topic_config(topic).get("max.message.bytes", 1024 * 1024))
    compression = None if arguments.compression == "none" else arguments.compression
    producer = Producer(connection, max_request_size=largest, compression=compression)
    sending = _Sending(producer, topic, arguments.rate)
    feed = Feed(arguments.files, largest, arguments.target_set)
    total = None if arguments.quiet else total_bytes(arguments.files)
    with closing(producer), progress("Sending", total, stream=StringIO() if arguments.quiet else None) as bar:
        for part in feed:
            sending.send(part.records)
            bar.update(part.done, f"{sending.sent.documents + sending.sent.removals:,} records")
        sending.finish()
    return sending.sent


class _Sending:
    """Hands records to the producer, not too many at once and not too fast."""

    def __init__(self, producer: Producer, topic: str, rate: float | None) -> None:
        self.sent = _Sent()
        self._producer = producer
        self._topic = topic
        self._rate = rate
        self._began = time.monotonic()
        self._pending: list[Pending] = []

    def send(self, records: Iterable[Keyed | Unkeyed]) -> None:
        from tsds_stream.streams.kafka.errors import TooLarge
        from tsds_stream.streams.kafka.feeding import Unkeyed

        for record in records:
            if isinstance(record, Unkeyed):
                self.sent.leave_out(record.where, record.why)
                continue
            self._wait()
            try:
                self._pending.append(self._producer.send(self._topic, record.key, record.value))
            except TooLarge as error:
                self.sent.leave_out(record.where, str(error))
                continue
            if record.value is None:
                self.sent.removals += 1
            else:
                self.sent.documents += 1
            if len(self._pending) >= WINDOW:
                self.finish()

    def finish(self) -> None:
        """Wait for everything to arrive. Raises `KafkaFailure`."""
        self._producer.flush(PATIENCE)
        for pending in self._pending:
            pending.place()
        self._pending.clear()

    def _wait(self) -> None:
        if self._rate is not None:
            ahead = self._began + (self.sent.documents + self.sent.removals) / self._rate - time.monotonic()
            if ahead > 0:
                time.sleep(ahead)


def _report(sent: _Sent, topic: str, *, quiet: bool) -> None:
    from tsds_stream.terminal import count

    for reason in sent.reasons:
        print(f"left out: {reason}", file=sys.stderr)
    if sent.left_out > len(sent.reasons):
        print(f"left out: {sent.left_out - len(sent.reasons):,} others", file=sys.stderr)
    if not quiet:
        parts = [f"{count(sent.documents, 'record')} sent to {topic}"]
        if sent.removals:
            parts.append(f"{count(sent.removals, 'record')} to take documents away")
        if sent.left_out:
            parts.append(f"{sent.left_out:,} left out")
        print("; ".join(parts), file=sys.stderr)
