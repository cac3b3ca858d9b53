"""Making an export: file by file, from where an earlier try was interrupted, and in effect only when it is whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final

import orjson

from tsds_stream.durable import Disk, sentence
from tsds_stream.exporting import manifest
from tsds_stream.exporting.compression import Compression
from tsds_stream.exporting.difference import Places, changed, removed
from tsds_stream.exporting.documents import FIELDS, Document
from tsds_stream.exporting.errors import ExportError
from tsds_stream.exporting.formats import File, Format, format_of
from tsds_stream.exporting.workplace import Finished, Workplace, leave_nothing, occupied
from tsds_stream.loader.errors import NoRevisionError
from tsds_stream.loader.revisions import Revision, Revisions
from tsds_stream.logs import Log
from tsds_stream.records import Json
from tsds_stream.sealed import seal

REMOVED: Final = "removed.jsonl"
HELD: Final = 3600.0  # seconds that revisions are kept for an export that was interrupted
_IDENTITY: Final = (
    "set", "revision", "since", "file_format", "compression", "shard_size", "digest", "since_digest", "fields",
)  # fmt: skip
_TELLING: Final = 256  # documents between two tellings of the progress


@dataclass(frozen=True, slots=True)
class Request:
    """What is exported, and how.

    Attributes:
        revision: None: the newest.
        since: only the difference from this revision.
        shard_size: bytes of documents, as lines of JSON, after which a file ends; a larger document has its own.
    """

    revision: int | None
    since: int | None
    format: str
    compression: Compression
    shard_size: int


class Export:
    """One export of one target set.

    Args:
        revisions: of the target set.
        output: the folder that comes into being; it may be there when it is empty.
        log: told of what is begun and finished.
        progress: told how many documents of the revision are behind us, out of how many.
    """

    def __init__(
        self,
        revisions: Revisions,
        output: Path,
        request: Request,
        log: Log,
        progress: Callable[[int, int], None] = lambda done, total: None,
        disk: Disk | None = None,
    ) -> None:
        self._revisions, self._output, self._request = revisions, output.absolute(), request
        self._log, self._progress, self._disk = log, progress, disk if disk is not None else Disk()
        self._held = 0.0
        self._format: Format = format_of(request.format, request.compression, request.shard_size)

    def make(self) -> Json:
        """Make it, or find that it is there already; returns what its export.json says.

        Raises:
            ExportError: something else is there, or it could not be written.
            RevisionError: a revision is not there, not any more, or is damaged.
        """
        try:
            if occupied(self._output):
                content = self._there()
            else:
                with closing(Workplace(self._output, self._disk)) as workplace:
                    # Another process may have made it meanwhile.
                    content = self._there() if occupied(self._output) else self._made(workplace)
            leave_nothing(self._output, self._disk, cache=False)
            return content
        except OSError as error:
            raise ExportError(sentence(error, "export", self._output.parent)) from error

    def _there(self) -> Json:
        """What is there, where it is what was asked for."""
        content = manifest.read(self._output)
        asked = _described(self._request, self._after(None), self._before())
        for key in _IDENTITY:
            if content.get(key) != asked[key]:
                has, wanted = (orjson.dumps(one.get(key)).decode() for one in (content, asked))
                raise ExportError(
                    f"{self._output} is another export: its {key} is {has}, and {wanted} was asked for. Give another "
                    "--output, or delete that one."
                )
        self._log.info("there already", output=self._output, revision=content["revision"])
        return content

    def _made(self, workplace: Workplace) -> Json:
        begun = workplace.plan()
        after, before = self._after(begun), self._before()
        asked = _described(self._request, after, before)
        plan = {**asked, "from": self._revisions.name, "libraries": self._format.libraries}
        if (
            begun != plan or not workplace.files.is_dir()
        ):  # which has its name already where that was the last thing done
            workplace.begin(plan)
        self._hold(after, before, HELD)
        finished = self._finished(workplace, after, before)
        documents = [one.file for one in finished]
        files, gone = list(documents), [0]
        if before is not None:
            files.append(File(REMOVED, *workplace.write(REMOVED, _lines(removed(after, before), gone)), 0))
        files += [File(name, *workplace.write(name, [data]), 0) for name, data in self._format.index(documents).items()]
        counts = {
            "documents": sum(file.documents for file in files),
            "without_text": sum(one.without_text for one in finished),
            "removed": gone[0],
        }
        content = manifest.content_of(asked, files, counts)
        workplace.write(manifest.NAME, [seal(content)])
        workplace.publish()
        self._hold(after, before, 0.0)
        self._log.info("exported", output=self._output, revision=after.number, **counts)
        return content

    def _after(self, begun: Json | None) -> Revision:
        """The revision that is exported: of an export that was begun, the one that was the newest then."""
        if self._request.revision is not None:
            return self._revisions.at(self._request.revision)
        asked = self._request
        kept = {
            "set": self._revisions.target_set,
            "from": self._revisions.name,
            "since": asked.since,
            "file_format": asked.format,
            "compression": asked.compression,
            "shard_size": asked.shard_size,
        }
        if begun is not None and all(begun[key] == value for key, value in kept.items()):
            number, newest = int(begun["revision"]), self._revisions.newest()
            try:
                revision = self._revisions.at(number)
            except NoRevisionError:
                self._log.warning("begun anew", reason=f"revision {number} is not there any more")
            else:
                if number != newest:
                    self._log.warning("goes on with the revision that was begun", revision=number, newest=newest)
                return revision
        return self._revisions.latest()

    def _before(self) -> Revision | None:
        return None if self._request.since is None else self._revisions.at(self._request.since)

    def _finished(self, workplace: Workplace, after: Revision, before: Revision | None) -> list[Finished]:
        """All files of documents: those that were finished, and the others."""
        done = workplace.finished()
        if done:
            self._log.info("goes on", revision=after.number, files=len(done))
        stream = _Stream(changed(after, before, done[-1].places if done else Places()), self._request.shard_size)
        while stream.begin():
            number = len(done)
            note: Json = {}
            name = self._format.name(number)
            parts = self._format.encode(self._told(stream, len(after)), note)
            size, sha256 = workplace.write(name, parts)
            one = Finished(File(name, size, sha256, stream.documents, note), stream.places, stream.without_text)
            workplace.finish(number, one)
            done.append(one)
            if time.monotonic() - self._held > HELD / 2:
                self._hold(after, before, HELD)
            self._log.info("file", name=name, bytes=size, documents=f"{one.places.after}/{len(after)}")
        self._progress(len(after), len(after))
        return done

    def _told(self, stream: _Stream, total: int) -> Iterator[Document]:
        for k, document in enumerate(stream):
            if k % _TELLING == 0:
                self._progress(stream.places.after, total)
            yield document

    def _hold(self, after: Revision, before: Revision | None, seconds: float) -> None:
        """Keep the revisions until an interrupted export may have been started again."""
        self._held = time.monotonic()
        name = f"export-{self._output.name}-{blake2b(str(self._output).encode(), digest_size=4).hexdigest()}"
        for revision in {after.number, before.number if before is not None else after.number}:
            self._revisions.hold(revision, name, seconds)


class _Stream:
    """Documents, one file of at most so many bytes after the other.

    Attributes:
        places: behind the last document that was given.
        documents, without_text: of those since `begin`.
    """

    def __init__(self, documents: Iterator[tuple[Document, Places]], limit: int) -> None:
        self._documents, self._limit = documents, limit
        self._next = next(documents, None)
        self.places = Places()
        self.documents = self.without_text = 0

    def begin(self) -> bool:
        """Whether there is another file."""
        self.documents = self.without_text = 0
        return self._next is not None

    def __iter__(self) -> Iterator[Document]:
        size = 0
        while self._next is not None:
            document, places = self._next
            size += len(document.line)
            if size > self._limit and self.documents:
                return
            self.places = places
            self.documents += 1
            self.without_text += document.fields["text"] is None
            yield document
            self._next = next(self._documents, None)


def _described(request: Request, after: Revision, before: Revision | None) -> Json:
    record = after.record
    return {
        "format": manifest.FORMAT,
        "set": after.target_set,
        "revision": after.number,
        "since": None if before is None else before.number,
        "since_digest": None if before is None else before.record.get("digest"),
        "file_format": request.format,
        "compression": request.compression,
        "shard_size": request.shard_size,
        "fields": list(FIELDS),
        "digest": record.get("digest"),
        "record": record,
    }


def _lines(names: Iterator[str], count: list[int]) -> Iterator[bytes]:
    for name in names:
        count[0] += 1
        yield orjson.dumps({"id": name}, option=orjson.OPT_APPEND_NEWLINE)
