"""What an auditor looks at, where documents are files and revisions go to a directory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tsds_stream.codecs import Decoder
from tsds_stream.records import Json, Target
from tsds_stream.sealed import unseal
from tsds_stream.streams.base import Batch, Positions, SourceError
from tsds_stream.streams.dead_letters import read_dead_letters
from tsds_stream.streams.file_positions import FilePositions, ahead
from tsds_stream.streams.files import FileSource
from tsds_stream.streams.layout import Layout
from tsds_stream.streams.revisions import list_revisions, open_revision, target_sets
from tsds_stream.streams.segments import RESTORE
from tsds_stream.streams.settings import FileSourceSettings
from tsds_stream.streams.targets import TargetFile
from tsds_stream.verification.evidence import Current, Place, Published

_LIMIT = 2048  # records at a time


class FileLog:
    """The `DocumentLog` of files: they are read again by the source that read them.

    Args:
        state: the state directory, whose journal says in which order files were finished.
        decoder: without a clock.
    """

    thinned = ""

    def __init__(self, settings: FileSourceSettings, state: Path, decoder: Decoder) -> None:
        if settings.path == "-":
            raise SourceError("standard input cannot be read again, so that nothing can be computed from it")
        self._source = FileSource(settings.model_copy(update={"follow": False}), decoder, state)
        self._source.seek(None)
        self._ends: dict[str, int] = {}

    def unreadable(self, positions: Positions) -> str | None:
        try:
            FilePositions.parse(positions)
        except SourceError as error:
            return str(error)
        return None

    def progress(self, positions: Positions) -> Any:
        parsed = FilePositions.parse(positions)
        return parsed.count, sum(offset for _, offset in parsed.files.values())

    def told_between(self, before: Positions, after: Positions) -> str | None:
        return None

    def gone_back(self, before: Positions, after: Positions) -> str | None:
        back = ahead(FilePositions.parse(before), FilePositions.parse(after)) is not None
        return "files had been read further by then" if back else None

    def amount(self, positions: Positions) -> int | None:
        return None

    def covers(self, place: Place) -> bool:
        return place.offset <= self._ends.get(place.name, -1)

    def batches(self, until: Positions) -> Iterator[Batch]:
        while True:
            batch = self._source.poll(_LIMIT, 0.0, until)
            for source in [d.source for d in batch.documents] + [letter.source for letter in batch.dead_letters]:
                self._ends[source["path"]] = max(self._ends.get(source["path"], 0), source["position"])
            yield batch
            if self._source.exhausted:
                return

    def close(self) -> None:
        self._source.close()


class FileExamples:
    """The `ExampleReader` of target files."""

    def __init__(self, path: str, decoder: Decoder) -> None:
        self._file = TargetFile(path, decoder)

    def at(self, positions: Json | None) -> list[Target]:
        """Those of now."""
        return self._file.read()


def published_in(root: Path) -> Published:
    """What a snapshot directory holds. Raises `DamagedFileError`."""
    found = Published(whole=False)
    commit = Layout(root).commit
    if not commit.exists():
        return found
    found.positions = unseal(commit, RESTORE)["positions"]  # first: what is read after it may only hold more
    for name in target_sets(root):
        records, damages = list_revisions(root, name)
        found.revisions[name] = records
        found.faults += [("damaged", str(damage), name) for damage in damages]
        if records:
            newest = open_revision(root, name, int(records[-1]["revision"]))
            newest.verify()
            found.current[name] = Current(newest.number, dict(zip(newest.ids, newest.sent, strict=True)))
    found.letters = list(read_dead_letters(root))
    return found
