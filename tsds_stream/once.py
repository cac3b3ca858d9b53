"""One pass over documents that ends: the engine on a sink in memory, and the texts in a scratch directory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tsds_stream.codecs import Decoder, Needs
from tsds_stream.config import Settings
from tsds_stream.embedding.factory import create
from tsds_stream.engine import Engine, Options, Statistics
from tsds_stream.engine.stop import Stop
from tsds_stream.exit_status import CommandError, ExitStatus
from tsds_stream.logs import LineLog
from tsds_stream.payloads import PayloadStore
from tsds_stream.records import DeadLetter, Json
from tsds_stream.selection.revision import Revision
from tsds_stream.streams.base import Committed, Positions, Publication, Source
from tsds_stream.streams.chained import ChainedSource, total_bytes
from tsds_stream.streams.sources import open_source
from tsds_stream.streams.targets import TargetFile
from tsds_stream.terminal import progress

NEVER = 1e12  # seconds


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a pass has selected.

    Attributes:
        records: selection records, best first.
        served: (target id, mean distance of its documents), worst first.
        target_texts: by target id, where targets have texts.
        dead_letters: records that could not be used.
    """

    revision: Revision
    records: list[Json]
    served: list[tuple[str, float]]
    target_texts: dict[str, str]
    dead_letters: list[DeadLetter]

    def reasons_of_dead_letters(self) -> dict[str, int]:
        """How many there are of each reason."""
        return dict(Counter(letter.reason for letter in self.dead_letters).most_common())


def select_once(settings: Settings, documents: Sequence[str], scratch: Path, *, show_progress: bool = True) -> Outcome:
    """Read all `documents` (files, directories or "-") and select for the first target set.

    Args:
        settings: with a source of files; its `path` is not used.
        scratch: an empty directory for the texts of candidates.

    Raises:
        CommandError: nothing can be selected, or the pass was interrupted.
    """
    target_set = settings.target_sets[0]
    if target_set.targets is None:
        raise CommandError("--targets is missing: selecting once needs a file of target examples", ExitStatus.USAGE)
    sink = MemorySink()
    targets = TargetFile(target_set.targets, Decoder())
    embedder, stop = create(settings.embedder), Stop()
    with progress("Selecting", total_bytes(documents)) as bar:

        def show(statistics: Statistics) -> None:
            bar.update(statistics.bytes_read, f"{statistics.documents_applied:,} documents")

        engine = Engine(
            open_source=lambda: _open(settings, documents, embedder.dimension),
            sink=sink,
            embedder=embedder,
            configs={target_set.name: target_set.selector_config()},
            readers={target_set.name: targets},
            checkpoints=None,
            payloads=PayloadStore(scratch / "payloads.sqlite"),
            options=Options(
                interval=NEVER, checkpoint_interval=NEVER, positions_interval=NEVER, heartbeat_interval=NEVER
            ),
            log=LineLog("warning", without=("advice", "a record cannot be used")),  # the summary tells it
            stop=stop,
            progress=show if show_progress else None,
        )
        engine.run()
    selector = engine.selectors[target_set.name]
    if stop.requested:
        raise CommandError("interrupted before everything was read; nothing was written", ExitStatus.INTERRUPTED)
    revision = selector.refresh()
    if revision is None:
        raise CommandError(_nothing(sink.dead_letters), ExitStatus.INPUT)
    records = sorted(sink.records[target_set.name].values(), key=lambda record: (-record["probability"], record["id"]))
    texts = {target.id: target.text for target in targets.read() if target.text is not None}
    return Outcome(revision, records, selector.served(), texts, sink.dead_letters)


class MemorySink:
    """Holds what a consumer of all revisions would hold."""

    def __init__(self) -> None:
        self.records: dict[str, dict[str, Json]] = {}  # by target set and id
        self.dead_letters: list[DeadLetter] = []

    def recover(self) -> Committed:
        """Nothing is published yet."""
        return Committed()

    def commit(
        self, publications: Sequence[Publication], dead_letters: Sequence[DeadLetter], positions: Positions
    ) -> None:
        """Apply the difference."""
        for publication in publications:
            held = self.records.setdefault(publication.name, {})
            for name in publication.removed:
                held.pop(name, None)
            held.update({record["id"]: record for record in publication.upserts})
            for name, probability, weight in zip(*publication.members, strict=True):
                held[name]["probability"], held[name]["weight"] = float(probability), float(weight)
        self.dead_letters += dead_letters

    def heartbeat(self, positions: Positions, now: int) -> None:
        """Nobody waits for a sign of life."""

    def close(self) -> None:
        """What was published stays readable."""


def _open(settings: Settings, documents: Sequence[str], dimension: int) -> Source:
    needs: Needs = "embedding" if settings.embedder.kind == "precomputed" else "either"
    sources = []
    assert settings.source.kind == "files"
    for path in documents:
        one = settings.source.model_copy(update={"path": path, "follow": False})
        sources.append(open_source(one, None, dimension=dimension, needs=needs))
    return ChainedSource(sources)


def _nothing(letters: list[DeadLetter]) -> str:
    if letters:
        return f"no record could be used; the first one: {letters[0].detail} ({letters[0].source.get('path', 'stdin')})"
    return "there was no document to select from"
