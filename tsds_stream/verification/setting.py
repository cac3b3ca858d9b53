"""The case that the settings describe: what to read, with which embedder, and against what to hold it."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from tsds_stream.codecs import Decoder
from tsds_stream.config import Settings
from tsds_stream.embedding.base import Embedder
from tsds_stream.embedding.factory import create
from tsds_stream.engine.assembly import needs_of
from tsds_stream.engine.clock import SystemClock
from tsds_stream.engine.preparation import Preparer
from tsds_stream.engine.statistics import Statistics
from tsds_stream.engine.stop import Stop
from tsds_stream.logs import LineLog
from tsds_stream.streams.base import SourceError
from tsds_stream.streams.clocks import wall_clock
from tsds_stream.streams.kafka.settings import KafkaSourceSettings
from tsds_stream.streams.settings import DirectorySinkSettings
from tsds_stream.verification.audit import Case
from tsds_stream.verification.evidence import DocumentLog, Published
from tsds_stream.verification.examples import ExampleReader, Oracles
from tsds_stream.verification.from_files import FileExamples, FileLog, published_in


class Setting(NamedTuple):
    """A case, and how many records it is about, where that is known."""

    case: Case
    total: int | None


def open_setting(settings: Settings, stack: ExitStack) -> Setting:
    """Read what is published and open the documents; what is opened is closed by the stack.

    Raises:
        SourceError: documents, targets or brokers cannot be read.
        EmbedderError: the embedder does not work.
        DamagedFileError: the snapshot directory is damaged.
        ModuleNotFoundError: the client of Kafka is not installed.
    """
    embedder = create(settings.embedder)
    stack.callback(embedder.close)
    readers = _readers(settings, stack)
    _adopt_dimension(embedder, readers)
    published = _published(settings, stack)
    log = _log(settings, embedder, published, stack)
    statistics = Statistics()
    preparer = Preparer(embedder, SystemClock(), statistics, LineLog("warning"), Stop())
    oracles = Oracles(
        {one.name: one.selector_config() for one in settings.target_sets},
        readers,
        preparer,
        embedder.fingerprint,
        embedder.dimension,
    )
    case = Case(
        log=log,
        published=published,
        oracle=oracles,
        preparer=preparer,
        dimension=embedder.dimension,
        weight_change=settings.publish.weight_change,
        max_future=settings.source.max_future,
        now=wall_clock(),
        reproducible=lambda: embedder.batch_independent or not statistics.embedded,
    )
    end = published.positions
    return Setting(case, None if end is None or log.unreadable(end) else log.amount(end))


def _decoder(settings: Settings, dimension: int | None) -> Decoder:
    return Decoder(dimension=dimension, needs=needs_of(settings), max_future=settings.source.max_future)


def _readers(settings: Settings, stack: ExitStack) -> dict[str, ExampleReader]:
    decoder = _decoder(settings, None)
    readers: dict[str, ExampleReader] = {
        one.name: FileExamples(one.targets, decoder) for one in settings.target_sets if one.targets is not None
    }
    others = [one.name for one in settings.target_sets if one.targets is None]
    if others:
        from tsds_stream.verification.from_topics import open_examples

        readers |= open_examples(settings.kafka, others, decoder, stack)
    return readers


def _adopt_dimension(embedder: Embedder, readers: dict[str, ExampleReader]) -> None:
    """An embedder that computes nothing learns its dimension from the first example that brings a vector."""
    adopt = getattr(embedder, "adopt", None)
    if adopt is None:
        return
    vectors = (target.embedding for reader in readers.values() for target in reader.at(None))
    first = next((vector for vector in vectors if vector is not None), None)
    if first is not None:
        adopt(len(first))


def _published(settings: Settings, stack: ExitStack) -> Published:
    sink = settings.sink
    if isinstance(sink, DirectorySinkSettings):
        if not Path(sink.path).is_dir():
            raise SourceError(f"there is no directory {sink.path}: nothing was published yet")
        return published_in(Path(sink.path))
    from tsds_stream.verification.from_topics import read_published

    return read_published(settings.kafka, stack)


def _log(settings: Settings, embedder: Embedder, published: Published, stack: ExitStack) -> DocumentLog:
    source = settings.source
    decoder = _decoder(settings, embedder.dimension)
    if isinstance(source, KafkaSourceSettings):
        from tsds_stream.verification.from_topics import open_log

        return open_log(settings.kafka, source.max_document_bytes, decoder, published.positions, stack)
    log = FileLog(source, Path(settings.state.directory), decoder)
    stack.callback(log.close)
    return log
