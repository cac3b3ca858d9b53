"""The examples of a target set as files: declarative, so what is in them is what the set asks for."""

from __future__ import annotations

from pathlib import Path

from tsds_stream.codecs import Decoder
from tsds_stream.engine.target_set import TargetsError
from tsds_stream.fields import RecordError
from tsds_stream.records import Target
from tsds_stream.streams.base import SourceError
from tsds_stream.streams.listing import SUFFIXES, Place, open_reader
from tsds_stream.streams.readers import Piece

_BLOCK = 4096  # records
_LONGEST = 1 << 20  # bytes of one example
_SHOWN = 5  # bad records that one message names

Signature = tuple[tuple[str, int, int, int], ...]


class TargetFiles:
    """Reads target examples from a file or a directory of files, of the same kinds as documents.

    Where two records have one id the last one counts; `{"id": …, "deleted": true}` takes an example out.

    Args:
        path: of the file or directory.
        decoder: of the records.
    """

    def __init__(self, path: str, decoder: Decoder) -> None:
        self._path = path
        self._decoder = decoder
        self._seen: Signature | None = None

    def read(self) -> list[Target]:
        """All examples as they are now, in the order of the files.

        Raises:
            TargetsError: a file is missing, or a record is no example; the bad ones are named.
        """
        place = Place(self._path)
        self._seen = self._signature()
        names = list(place.files())
        if not names:
            what = f"has no file of examples ({SUFFIXES})" if place.directory else "does not exist"
            raise TargetsError(f"the targets {self._path} cannot be read: it {what}")
        found: dict[str, Target] = {}
        problems: list[str] = []
        for name in names:
            self._read_file(place.file(name), name, found, problems)
        if problems:
            more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
            raise TargetsError(f"the targets {self._path} cannot be used: {'; '.join(problems[:_SHOWN])}{more}")
        return [target for target in found.values() if not target.deleted]

    def changed(self) -> bool:
        """Whether names, sizes or times of the files are others than at the last `read`."""
        return self._signature() != self._seen

    def _signature(self) -> Signature:
        try:
            files = Place(self._path).files()
        except (OSError, SourceError):
            return ()
        return tuple((name, one.st_size, one.st_mtime_ns, one.st_ino) for name, one in files.items())

    def _read_file(self, path: Path, name: str, found: dict[str, Target], problems: list[str]) -> None:
        try:
            reader = open_reader(path, name, _LONGEST)
        except (OSError, SourceError) as error:
            raise TargetsError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
        try:
            number = 0
            piece = Piece(more=True)
            while piece.more and not piece.broken:
                piece = reader.take(_BLOCK, None, True)
                problems += [f"{name} at byte {bad.start}: {bad.detail}" for bad in piece.bad]
                for value in piece.values:
                    number += 1
                    try:
                        target = self._decoder.target(value)
                    except RecordError as error:
                        problems.append(f"{name}, record {number}: {error}")
                    else:
                        found[target.id] = target
        except OSError as error:
            raise TargetsError(f"{path} cannot be read: {error.strerror}") from None
        finally:
            reader.close()
