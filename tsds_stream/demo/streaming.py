"""The real engine over the demonstration's files: one revision per batch, so that a seed gives the same revisions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tsds_stream.checkpoint import CheckpointStore
from tsds_stream.codecs import Decoder
from tsds_stream.demo.place import Place
from tsds_stream.demo.script import Script
from tsds_stream.demo.watching import Sight, WatchedSink
from tsds_stream.durable import Disk, make_directories
from tsds_stream.embedding.factory import create
from tsds_stream.embedding.settings import StaticSettings
from tsds_stream.engine import Engine, Options
from tsds_stream.engine.stop import Stop
from tsds_stream.exit_status import CommandError, ExitStatus
from tsds_stream.lock import WriterLock
from tsds_stream.logs import LineLog
from tsds_stream.payloads import PayloadStore
from tsds_stream.selection.selector import Selector
from tsds_stream.selection.settings import SelectorConfig
from tsds_stream.stored_state import checkpoints_in, lock_of, payloads_in
from tsds_stream.streams.directory import DirectorySink
from tsds_stream.streams.settings import FileSourceSettings
from tsds_stream.streams.sources import open_source
from tsds_stream.streams.targets import TargetFile

SET: Final = "default"
REVISIONS: Final = 22  # about so many, whatever the number of documents
_NEVER: Final = 1e12  # seconds


@dataclass(frozen=True, slots=True)
class Outcome:
    """What streaming leaves in memory; everything else is in the directory."""

    selector: Selector
    sights: list[Sight]


def stream(place: Place, script: Script, config: SelectorConfig, show: Callable[[Sight], object]) -> Outcome:
    """Stream the documents in, publish to the directory, and leave a checkpoint.

    Raises:
        CommandError: it cannot go on, or was interrupted.
    """
    make_directories(Disk(), place.state)
    lock = WriterLock(lock_of(place.state), f"The state directory {place.state}")
    embedder, stop = create(StaticSettings()), Stop()
    sink = WatchedSink(DirectorySink(place.selection), script.originals, script.families, show)
    source = FileSourceSettings(path=str(place.documents))
    engine = Engine(
        open_source=lambda: open_source(source, place.state, dimension=embedder.dimension),
        sink=sink,
        embedder=embedder,
        configs={SET: config},
        readers={SET: TargetFile(str(place.targets), Decoder())},
        checkpoints=CheckpointStore(checkpoints_in(place.state)),
        payloads=PayloadStore(payloads_in(place.state)),
        # By the clock, revisions would depend on the machine; with no interval there is one after each batch.
        options=Options(
            interval=0.0,
            publish_share=1.0,  # a revision after every batch, however long it takes
            batch=max(50, -(-len(script.events) // REVISIONS)),
            checkpoint_interval=_NEVER,
            heartbeat_interval=_NEVER,
            positions_interval=_NEVER,
        ),
        log=LineLog("warning", without=("advice",)),
        stop=stop,
        closing=[lock.close],
    )
    engine.run()
    if stop.requested:
        raise CommandError("interrupted before everything was streamed", ExitStatus.INTERRUPTED)
    return Outcome(engine.selectors[SET], sink.sights)
