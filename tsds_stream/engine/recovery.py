"""The restart: which checkpoint to go on from, or whether to read the stream from its beginning."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass

from tsds_stream.checkpoint import Checkpoint, CheckpointStore
from tsds_stream.embedding.base import check_fingerprint
from tsds_stream.engine.texts import Texts
from tsds_stream.logs import Log
from tsds_stream.records import Json
from tsds_stream.selection.selector import Selector
from tsds_stream.selection.settings import SelectorConfig
from tsds_stream.streams.base import Committed, Positions, Source

STATE_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Restored:
    """The state to go on from.

    Attributes:
        selectors: by target set; empty: there is no usable state, the stream is read from its beginning.
        positions: of that state.
        declared: per set, the examples it was given.
        targets_at: per set, up to where these were taken up.
        late: a re-reading that was under way.
    """

    selectors: dict[str, Selector]
    positions: Positions | None
    declared: dict[str, dict[str, str]]
    targets_at: dict[str, Json | None]
    late: Json | None


NOTHING = Restored({}, None, {}, {}, None)


class ReadAhead:
    """Reads the newest checkpoint in a thread of its own, while the sink finds out whether it is the right one."""

    def __init__(self, checkpoints: CheckpointStore | None) -> None:
        self.checkpoints = checkpoints
        self._number: int | None = None
        self._selectors: dict[str, Selector] = {}
        self._thread = threading.Thread(target=self._read, name="tsds-restore", daemon=True)
        self._thread.start()

    @property
    def sound(self) -> int | None:
        """Number of the checkpoint that was read; None: none could be."""
        self._thread.join()
        return self._number

    def take(self, checkpoint: Checkpoint, name: str) -> Selector:
        """The selector of a target set. Raises `ValueError`, `OSError`."""
        if checkpoint.number == self.sound and name in self._selectors:
            return self._selectors.pop(name)
        return Selector.load(checkpoint.directory / part_of(name))

    def _read(self) -> None:
        if self.checkpoints is None:
            return
        with suppress(ValueError, OSError):  # what is wrong is found again, and told, where it matters
            checkpoint = self.checkpoints.newest().checkpoint
            if checkpoint is not None and checkpoint.meta["format"] == STATE_FORMAT:
                for name in checkpoint.meta["sets"]:
                    self._selectors[name] = Selector.load(checkpoint.directory / part_of(name))
                self._number = checkpoint.number


def restore(
    ahead: ReadAhead,
    committed: Committed,
    configs: dict[str, SelectorConfig],
    embedder: str,
    source: Source,
    texts: Texts,
    log: Log,
) -> Restored:
    """The newest checkpoint that fits what the sink holds and what is configured; else `NOTHING`.

    Args:
        configs: of the configured target sets.
        embedder: fingerprint of the configured one.
        source: of the documents.

    Raises:
        FingerprintMismatch: the state was made with another embedder.
    """

    def refuse(meta: Json) -> str | None:
        if meta["format"] != STATE_FORMAT:
            return f"its state has format {meta['format']}, and this version reads {STATE_FORMAT}"
        check_fingerprint(meta["embedder"], embedder)
        if committed.positions is None:
            return "it is ahead of the sink, which holds nothing"
        return (
            _ahead(meta, committed)
            or source.unreachable(meta["positions"], committed.positions)
            or texts.lacks(meta["texts"])
        )

    if ahead.checkpoints is None:
        return NOTHING
    found = ahead.checkpoints.newest(refuse, sound=ahead.sound)
    for problem in found.problems:
        log.warning("checkpoint left aside", reason=problem)
    if found.checkpoint is None:
        return NOTHING
    meta = found.checkpoint.meta
    try:
        if meta["sets"].keys() != configs.keys():
            raise ValueError("the configured target sets are not those of the state")
        selectors = {name: ahead.take(found.checkpoint, name) for name in configs}
        for name, selector in selectors.items():
            if selector.config != configs[name]:
                selector.reconfigure(configs[name])
                log.info("parameters changed", set=name)
    except ValueError as error:
        log.warning("the stream is read again from its beginning", reason=str(error))
        return NOTHING
    declared = {name: dict(one["declared"]) for name, one in meta["sets"].items()}
    targets_at = {name: one.get("targets_at") for name, one in meta["sets"].items()}
    return Restored(selectors, meta["positions"], declared, targets_at, meta["late"])


def part_of(name: str) -> str:
    """The directory of a target set within a checkpoint."""
    return name


def _ahead(meta: Json, committed: Committed) -> str | None:
    """Checkpoints are taken at committed positions, so only a sink that was set back can be behind one."""
    for name, one in meta["sets"].items():
        held = int(committed.revisions[name]["revision"]) if name in committed.revisions else 0
        if one["revision"] > held:
            return f"it is ahead of the sink: revision {one['revision']} of {name!r} against {held}"
    return None
