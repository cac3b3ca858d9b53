"""Manifests: one published revision, as a list of members that point into segments."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tsds_stream.durable import Disk, write_in_one_step
from tsds_stream.records import Json
from tsds_stream.sealed import DamagedFileError, check_file, seal, unsealed
from tsds_stream.streams.layout import SetLayout
from tsds_stream.streams.segments import RESTORE, SegmentInfo

FORMAT: Final = 1
# Field of a revision record, and its value in a directory that was derived from what a publisher sent: probabilities
# and weights are those that consumers hold, `digest` is that of the exact ones, and revisions may be left out.
VALUES: Final = "values"
AS_PUBLISHED: Final = "published"
MEMBER = np.dtype([("segment", "<u4"), ("row", "<u4"), ("probability", "<f8"), ("weight", "<f8")])


@dataclass(frozen=True, slots=True)
class Manifest:
    """A revision without its members.

    Attributes:
        record: the revision record.
        segments: those that hold its members.
        next_segment: the number of the first segment of the next revision.
        members: how many.
        members_sha256: of the table of the members.
    """

    record: Json
    segments: tuple[SegmentInfo, ...]
    next_segment: int
    members: int
    members_sha256: str

    @property
    def revision(self) -> int:
        return int(self.record["revision"])


def is_derived(record: Json) -> bool:
    """Whether a revision was put together from what was published, so that nobody here knows its exact values."""
    return record.get(VALUES) == AS_PUBLISHED


def write_manifest(
    disk: Disk,
    layout: SetLayout,
    record: Json,
    segments: tuple[SegmentInfo, ...],
    next_segment: int,
    members: NDArray[np.void],
) -> Manifest:
    """Write a revision; the caller syncs its two files and their directory.

    Args:
        members: (n,) of dtype `MEMBER`, by ascending id.
    """
    table = members.data.cast("B") if len(members) else b""
    manifest = Manifest(record, segments, next_segment, len(members), hashlib.sha256(table).hexdigest())
    disk.write(layout.members(manifest.revision), [table])
    content = {"format": FORMAT, **asdict(manifest), "segments": [asdict(segment) for segment in segments]}
    write_in_one_step(disk, layout.manifest(manifest.revision), seal(content))
    return manifest


def read_manifest(layout: SetLayout, revision: int) -> Manifest:
    """Raises `DamagedFileError`, also when there is none."""
    path = layout.manifest(revision)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DamagedFileError(path, "is missing", RESTORE) from None
    return manifest_in(data, path, revision)


def manifest_in(data: bytes, path: Path, revision: int) -> Manifest:
    """The manifest that was read from `path`. Raises `DamagedFileError`."""
    content = unsealed(data, path, RESTORE)
    if content.get("format") != FORMAT:
        raise DamagedFileError(
            path,
            f"has format {content.get('format')}, and this version reads {FORMAT}",
            "Use the version that wrote it.",
        )
    if content["record"]["revision"] != revision:
        raise DamagedFileError(path, f"describes revision {content['record']['revision']}", RESTORE)
    segments = tuple(SegmentInfo(**segment) for segment in content["segments"])
    return Manifest(content["record"], segments, content["next_segment"], content["members"], content["members_sha256"])


def read_members(layout: SetLayout, manifest: Manifest, *, verify: bool = True) -> NDArray[np.void]:
    """(n,) of dtype `MEMBER`, memory-mapped, by ascending id. Raises `DamagedFileError`."""
    path = layout.members(manifest.revision)
    sha256 = manifest.members_sha256 if verify else None
    check_file(path, manifest.members * MEMBER.itemsize, sha256, RESTORE)
    if not manifest.members:
        return np.empty(0, MEMBER)
    members: NDArray[np.void] = np.memmap(path, MEMBER, "r")
    return members
