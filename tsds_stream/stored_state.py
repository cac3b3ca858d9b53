"""A look at the state directory without disturbing the process that may be writing to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree

from tsds_stream.checkpoint import CheckpointStore
from tsds_stream.exit_status import CommandError, ExitStatus
from tsds_stream.lock import WriterLock
from tsds_stream.payloads import PayloadError, PayloadStore
from tsds_stream.records import Json
from tsds_stream.selection.selector import Selector


@dataclass(frozen=True, slots=True)
class StoredState:
    """The newest sound checkpoint of a state directory.

    Attributes:
        meta: of the checkpoint: positions, embedder fingerprint, target sets.
        problems: sentences about newer checkpoints that are damaged.
    """

    root: Path
    directory: Path
    meta: Json
    problems: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """Target sets."""
        return sorted(self.meta["sets"])

    def choose(self, name: str | None) -> str:
        """The target set to look at. Raises `CommandError` when it is not there, or has to be named."""
        if name is None and len(self.names) == 1:
            return self.names[0]
        if name in self.names:
            return str(name)
        have = ", ".join(self.names)
        fault = f"has no target set {name!r}, but {have}" if name is not None else f"has several: choose one of {have}"
        raise CommandError(f"--set: {self.root} {fault}", ExitStatus.USAGE)

    def selector(self, name: str) -> Selector:
        """A copy of the selector of one set, to ask questions of. Raises `CommandError` when it cannot be read."""
        try:
            return Selector.load(self.directory / name)
        except (OSError, ValueError) as error:
            raise CommandError(f"{self.directory / name} cannot be read: {error}", ExitStatus.STATE) from error

    def replace(self, selectors: Mapping[str, Selector]) -> None:
        """Write a newer checkpoint at the same positions, with other selectors for some sets.

        Raises:
            LockedError: a run is using the state. CheckpointError: the disk fails.
        """

        def write(directory: Path) -> None:
            for name in self.names:
                if name in selectors:
                    selectors[name].save(directory / name)
                else:
                    copytree(self.directory / name, directory / name)

        lock = WriterLock(lock_of(self.root), f"The state directory {self.root}")
        try:
            checkpoints = CheckpointStore(checkpoints_in(self.root))
            checkpoints.newest()  # so that a damaged one gives its place
            checkpoints.save(write, self.meta)
        finally:
            lock.close()

    def texts(self, ids: Sequence[str], keys: Sequence[bytes]) -> list[str | None]:
        """What is stored of held documents; None where nothing is."""
        try:
            with PayloadStore(payloads_in(self.root), read_only=True) as store:
                return [found.text if found else None for found in store.get(zip(ids, keys, strict=True))]
        except PayloadError:
            return [None] * len(ids)  # an answer without texts is better than none


def checkpoints_in(root: Path) -> Path:
    """Where the checkpoints of a state directory are."""
    return root / "checkpoints"


def lock_of(root: Path) -> Path:
    """The lock of the one process that writes to a state directory."""
    return root / "lock"


def payloads_in(root: Path) -> Path:
    """Where the texts of a state directory are."""
    return root / "payloads.sqlite"


def open_state(root: Path) -> StoredState:
    """The newest state. Raises `CommandError` when there is none."""
    if not root.is_dir():
        raise CommandError(f"{root} does not exist; --state names the state directory of a run", ExitStatus.STATE)
    found = CheckpointStore(checkpoints_in(root)).newest()
    if found.checkpoint is None:
        why = " ".join(found.problems) or "the first checkpoint is written at the end of a run, or after a while"
        raise CommandError(f"{root} has no checkpoint that can be used: {why}", ExitStatus.STATE)
    return StoredState(root, found.checkpoint.directory, found.checkpoint.meta, found.problems)
