"""Where things are in a snapshot directory.

commit.json                    what is committed: positions, last revision of each set, lengths of the files that grow
dead-letters.jsonl             records that could not be used
withdrawn.jsonl                documents that were retracted, and when
heartbeat.json                 when the publisher was last alive, and up to which positions
writer.lock                    held by the one writer
SET/LATEST                     the newest revision of the target set SET
SET/manifests/00000012.json    one revision: its record, its segments, checksums
SET/manifests/00000012.members one row per member, by ascending id: segment, row, exact p and weight
SET/segments/00000007.jsonl    selection records, one per line; never changed once written
SET/segments/00000007.index    offsets, checksums, and the published numbers of those lines
SET/leases/HOLDER.json         revisions that a reader has open, which are not deleted
SET/selection.jsonl            on request: the newest revision as one file
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,200}")
_NUMBERED = re.compile(r"(\d{8,})\.(json|members|jsonl|index)(\.tmp)?")


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths of the files that all target sets share."""

    root: Path

    @property
    def commit(self) -> Path:
        return self.root / "commit.json"

    @property
    def dead_letters(self) -> Path:
        return self.root / "dead-letters.jsonl"

    @property
    def withdrawn(self) -> Path:
        return self.root / "withdrawn.jsonl"

    @property
    def heartbeat(self) -> Path:
        return self.root / "heartbeat.json"

    @property
    def lock(self) -> Path:
        return self.root / "writer.lock"

    def of(self, name: str) -> SetLayout:
        """Paths of one target set."""
        return SetLayout(self.root / checked_name(name))

    def set_names(self) -> list[str]:
        """Target sets that have a directory here, ascending; not all of them need to have a revision."""
        if not self.root.is_dir():
            return []
        names = (path.parent.name for path in self.root.glob("*/manifests") if path.is_dir())
        return sorted(name for name in names if _NAME.fullmatch(name))


@dataclass(frozen=True, slots=True)
class SetLayout:
    """Paths of the files of one target set."""

    root: Path

    @property
    def latest(self) -> Path:
        return self.root / "LATEST"

    @property
    def selection(self) -> Path:
        return self.root / "selection.jsonl"

    @property
    def leases(self) -> Path:
        return self.root / "leases"

    @property
    def manifests(self) -> Path:
        return self.root / "manifests"

    @property
    def segments(self) -> Path:
        return self.root / "segments"

    def manifest(self, revision: int) -> Path:
        return self.manifests / f"{revision:08d}.json"

    def members(self, revision: int) -> Path:
        return self.manifests / f"{revision:08d}.members"

    def lines(self, segment: int) -> Path:
        return self.segments / f"{segment:08d}.jsonl"

    def index(self, segment: int) -> Path:
        return self.segments / f"{segment:08d}.index"


def checked_name(name: str) -> str:
    """`name`, when it can name a target set. Raises `ValueError`."""
    if not _NAME.fullmatch(name) or name in (".", ".."):
        raise ValueError(f"A target set cannot be named {name!r}: use letters, digits, _ . and -, at most 200 of them.")
    layout = Layout(Path())
    taken = {
        path.name for path in (layout.commit, layout.dead_letters, layout.withdrawn, layout.heartbeat, layout.lock)
    }
    if name.removesuffix(".tmp") in taken:
        raise ValueError(f"A target set cannot be named {name!r}: the directory has a file of this name.")
    return name


def numbered(directory: Path) -> list[tuple[int, Path]]:
    """(number, path) of the files in a manifests or segments directory that we may have written, ascending."""
    if not directory.is_dir():
        return []
    found = [(match, path) for path in directory.iterdir() if (match := _NUMBERED.fullmatch(path.name))]
    return sorted((int(match[1]), path) for match, path in found)
