"""The world that the settings describe: where documents and examples come from, and where revisions go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tsds_stream import __version__
from tsds_stream.codecs import Decoder, Needs
from tsds_stream.config import Settings
from tsds_stream.durable import Disk
from tsds_stream.engine.late import TargetReader
from tsds_stream.engine.stop import Stop
from tsds_stream.exit_status import CommandError, ExitStatus
from tsds_stream.logs import Log
from tsds_stream.streams.base import Sink, Source
from tsds_stream.streams.clocks import wall_clock
from tsds_stream.streams.directory import DirectorySink
from tsds_stream.streams.kafka.settings import KafkaSourceSettings
from tsds_stream.streams.leased import Leased
from tsds_stream.streams.settings import DirectorySinkSettings
from tsds_stream.streams.sources import open_source
from tsds_stream.streams.targets import TargetFile

if TYPE_CHECKING:
    from tsds_stream.streams.kafka.connection import Connection


@dataclass(slots=True)
class World:
    """What an engine works with.

    Attributes:
        open_source: a new instance of the documents' source.
        ready: waits until every target set has an example; False: it was asked to leave before.
        closing: called when nothing is in use any more.
    """

    open_source: Callable[[], Source]
    sink: Sink
    readers: dict[str, TargetReader]
    ready: Callable[[], bool]
    closing: list[Callable[[], object]] = field(default_factory=list)


def needs_of(settings: Settings) -> Needs:
    """What every record must bring."""
    return "embedding" if settings.embedder.kind == "precomputed" else "either"


def assemble(settings: Settings, dimension: Callable[[], int], state: Path, disk: Disk, log: Log, stop: Stop) -> World:
    """Open what the settings name; nothing is read or written yet.

    Args:
        dimension: of the vectors; asked when a source is opened.
        state: the state directory, where a source of files keeps its journal.
        disk: where a test injects faults.

    Raises:
        CommandError: the topics are not as they must be, or the client library is not installed.
        SinkError: the directory has a writer, or cannot be made.
    """
    connection = _connection(settings, log) if settings.uses_kafka else None
    readers: dict[str, TargetReader] = {}
    closing: list[Callable[[], object]] = []
    for one in settings.target_sets:
        if one.targets is not None:
            readers[one.name] = TargetFile(one.targets, Decoder(needs=needs_of(settings)))
    ready: Callable[[], bool] = _at_once
    followed = [one.name for one in settings.target_sets if one.targets is None]
    if connection is not None and followed:
        from tsds_stream.streams.kafka.targets import TargetTopic

        name = settings.kafka.topics.targets
        assert name is not None  # the settings refuse a set without a file and without a topic
        topic = TargetTopic(connection, name, Decoder(needs=needs_of(settings)), followed, log)
        topic.start()
        closing.append(topic.close)
        readers |= {name: topic.reader(name) for name in followed}
        ready = partial(topic.wait_for_examples, followed, lambda: stop.requested)
    sink, close = _sink(settings, connection, disk, log)
    opener = _opener(settings, connection, dimension, state, disk)
    return World(opener, sink, readers, ready, [*close, *closing])


def _connection(settings: Settings, log: Log) -> Connection:
    """How to reach the brokers, after a look at the topics."""
    try:
        from tsds_stream.streams.kafka.topics import look
    except ModuleNotFoundError as error:
        sentence = f"Kafka needs the package {error.name}: pip install 'tsds-stream[kafka]'"
        raise CommandError(sentence, ExitStatus.USAGE) from error
    from tsds_stream.streams.kafka.connection import connection_of

    connection = connection_of(settings.kafka)
    look(connection, settings, log)
    return connection


def _opener(
    settings: Settings, connection: Connection | None, dimension: Callable[[], int], state: Path, disk: Disk
) -> Callable[[], Source]:
    source = settings.source
    if connection is None or not isinstance(source, KafkaSourceSettings):
        assert not isinstance(source, KafkaSourceSettings)
        return lambda: open_source(source, state, dimension=dimension(), needs=needs_of(settings), disk=disk)
    from tsds_stream.streams.kafka.source import KafkaSource

    kafka = settings.kafka

    def decoder() -> Decoder:
        return Decoder(dimension=dimension(), needs=needs_of(settings), max_future=source.max_future, clock=wall_clock)

    return lambda: KafkaSource(
        connection,
        kafka.topics.documents,
        decoder(),
        max_document_bytes=source.max_document_bytes,
        accept_gap=source.accept_gap,
        topic_check_interval=source.topic_check_interval,
    )


def _sink(
    settings: Settings, connection: Connection | None, disk: Disk, log: Log
) -> tuple[Sink, list[Callable[[], object]]]:
    sink = settings.sink
    if isinstance(sink, DirectorySinkSettings):
        directory = DirectorySink(
            sink.path,
            keep_revisions=sink.keep_revisions,
            pinned=Leased(sink.path),
            selection_file=sink.jsonl,
            disk=disk,
        )
        return directory, []
    assert connection is not None
    from tsds_stream.streams.kafka.sink import KafkaSink

    kafka = settings.kafka
    closing: list[Callable[[], object]] = []
    if sink.directory is not None:
        from tsds_stream.streams.kafka.mirror import SelectionMirror

        mirror = SelectionMirror(
            connection,
            kafka.topics.selection,
            sink.directory,
            revisions=kafka.topics.revisions,
            sets=[one.name for one in settings.target_sets],
            keep_revisions=sink.keep_revisions,
            pinned=Leased(sink.directory),
            log=log,
        )
        mirror.start()
        closing.append(mirror.stop)
    published = KafkaSink(
        connection,
        transactional_id=kafka.transactional_id,
        group_id=kafka.group_id,
        selection=kafka.topics.selection,
        revisions=kafka.topics.revisions,
        dead_letters=kafka.topics.dead_letters,
        documents=kafka.topics.documents if settings.source.kind == "kafka" else None,
        payload=sink.payload,
        transaction_timeout=kafka.transaction_timeout,
        startup_timeout=kafka.startup_timeout,
        sets=[one.name for one in settings.target_sets],
        version=__version__,
    )
    return published, closing


def _at_once() -> bool:
    return True
