"""The revisions of a target set, and one revision as a sequence of documents, wherever they are kept."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from tsds_stream.loader.errors import NoRevisionError, RevisionError
from tsds_stream.loader.leases import Leases
from tsds_stream.loader.opening import place_of
from tsds_stream.loader.places import Place
from tsds_stream.records import Json
from tsds_stream.sealed import DamagedFileError
from tsds_stream.streams.revisions import StoredRevision

log = logging.getLogger(__name__)

_DAMAGE = (DamagedFileError, OSError)


class Revision(Sequence[Json]):
    """One revision, read-only: its documents by ascending ids. Made by `Revisions`.

    Opening one of a million documents takes well under a second: files are memory-mapped, and a document is read, and
    compared with its checksum, when it is asked for. A document is the record of the selection: `id`, `text`, `meta`,
    `weight`, `probability`, `density`, `multiplicity`, `nearest` (three targets and their distances), `source`, and
    `revision`, the one in which it was last sent to consumers. Can be pickled: another process opens it anew.
    """

    def __init__(self, revisions: Revisions, stored: StoredRevision) -> None:
        self._revisions = revisions
        self._stored = stored
        self.number = stored.number

    @property
    def target_set(self) -> str:
        return self._revisions.target_set

    @property
    def record(self) -> Json:
        """The revision record."""
        return self._stored.record

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """(n,) float64: the share that each document stands for."""
        return self._stored.probabilities

    @property
    def weights(self) -> NDArray[np.float64]:
        """(n,) float64, mean 1."""
        return self._stored.weights

    @property
    def ids(self) -> list[str]:
        """All ids, ascending. Kept from the first use on: some 100 bytes each."""
        try:
            return self._stored.ids
        except _DAMAGE as error:
            raise self._explained(error) from error

    def __len__(self) -> int:
        return len(self._stored)

    @overload
    def __getitem__(self, i: int) -> Json: ...
    @overload
    def __getitem__(self, i: slice) -> list[Json]: ...
    def __getitem__(self, i: int | slice) -> Json | list[Json]:
        """A document, or the list of several.

        Raises:
            IndexError: there are not so many.
            RevisionError: it is not what was written, or the revision was deleted.
        """
        try:
            if isinstance(i, slice):
                return [self._stored[j] for j in range(*i.indices(len(self._stored)))]
            return self._stored[i]
        except _DAMAGE as error:
            raise self._explained(error) from error

    def __iter__(self) -> Iterator[Json]:
        return (self[i] for i in range(len(self)))

    def read(self, places: Sequence[int] | NDArray[np.int64]) -> list[Json]:
        """The documents at (k,) places, in this order: as one by one, and faster. Raises as for one of them."""
        try:
            return self._stored.read(np.asarray(places, np.int64))
        except _DAMAGE as error:
            raise self._explained(error) from error

    @property
    def stays_open(self) -> bool:
        """Whether its files are so few that all of them stay open once they were read."""
        return self._stored.stays_open

    def touch(self, places: NDArray[np.int64]) -> None:
        """Have the documents at (k,) places brought here, so that no process waits for the disk when it reads them.

        Raises:
            RevisionError: a file is missing or damaged, or cannot be reached.
        """
        try:
            self._stored.touch(places)
        except _DAMAGE as error:
            raise self._explained(error) from error

    def __reduce__(self) -> tuple[Any, ...]:
        return Revisions.at, (self._revisions, self.number)

    def __repr__(self) -> str:
        return f"<revision {self.number} of {self.target_set!r} in {self._revisions.name}: {len(self)} documents>"

    def id(self, i: int) -> str:
        """The id of a document, without reading the rest of it. Raises as an index does."""
        try:
            return self._stored.id(i)
        except _DAMAGE as error:
            raise self._explained(error) from error

    def find(self, id: str) -> int | None:
        """The place of the document with this id, or None."""
        try:
            return self._stored.find(id)
        except _DAMAGE as error:
            raise self._explained(error) from error

    def verify(self) -> None:
        """Read every file of the revision, and compare checksums and digests.

        Raises:
            RevisionError: the first damage found.
        """
        try:
            self._stored.verify()
        except _DAMAGE as error:
            raise self._explained(error) from error

    def _explained(self, error: Exception) -> RevisionError:
        return self._revisions.explained(self.number, error)


class Revisions:
    """The revisions of one target set. Made by `Revisions.open`; close it, or use it as a context manager.

    Can be pickled: a copy in another process, such as a worker of a DataLoader, only reads.
    """

    def __init__(self, place: Place, target_set: str, leases: Leases | None = None) -> None:
        self.target_set = target_set
        self._place = place
        self._lock = threading.Lock()
        self._in_use: weakref.WeakValueDictionary[int, Revision] = weakref.WeakValueDictionary()
        self._leases = leases
        if leases is not None:
            leases.watch(partial(_numbers, self._in_use))
            weakref.finalize(self, leases.close)

    @classmethod
    def open(
        cls,
        url: str | Path,
        target_set: str = "default",
        *,
        cache: str | Path | None = None,
        holder: str | None = None,
        options: Mapping[str, Any] | None = None,
        timeout: float = 600.0,
    ) -> Revisions:
        """The revisions at a place.

        Those that are open are leased, where this process may write to the place: until it closes them, or a few
        minutes after it has died, the writer of a snapshot directory does not delete them.

        Args:
            url: a snapshot directory as a path or file://…; a copy of one that fsspec can read, as s3://… or
                memory://…; or topics: kafka://HOST:PORT/SELECTION_TOPIC?revisions=TOPIC, of which a thread keeps a copy
                up to date in `cache`.
            target_set: name of the set.
            cache: a directory of this computer to which what is read is brought, and which processes share. Topics need
                one; copies behind fsspec are brought to a temporary one if need be; with one, directories are, too.
            holder: a name for the lease, for people who look for who keeps a revision.
            options: of the fsspec file system, or TLS and SASL settings as kafka-python names them.
            timeout: seconds to wait for the first revision from topics.

        Raises:
            RevisionError: there are none, or they cannot be reached; the message says what to do.
        """
        place = place_of(url, target_set, None if cache is None else Path(cache), options, timeout)
        found = cls(place, target_set, Leases(place.leases, holder))
        try:
            place.newest()
        except BaseException:
            found.close()
            raise
        return found

    @property
    def name(self) -> str:
        """Where they are."""
        return self._place.name

    def newest(self) -> int:
        """The number of the newest revision; cheap."""
        return self._place.newest()

    def numbers(self) -> list[int]:
        """The numbers of the revisions that are there, ascending."""
        return self._place.numbers()

    def list(self) -> list[Json]:
        """The records of the revisions that are there, ascending. One that is damaged is left out with a warning."""
        records, damages = self._place.records()
        for damage in damages:
            log.warning("%s", damage)
        return records

    def latest(self) -> Revision:
        """The newest revision. Raises `RevisionError`."""
        while True:
            number = self.newest()
            try:
                return self.at(number)
            except NoRevisionError:
                # The writer may have published another one meanwhile, and let go of this.
                if self.newest() == number:
                    raise

    def at(self, number: int) -> Revision:
        """A revision by its number.

        Raises:
            NoRevisionError: it is not there, or not any more.
            RevisionError: it is damaged, or cannot be reached.
        """
        with self._lock:
            found = self._in_use.get(number)
            if found is None:
                with self._leased(number):
                    found = self._in_use[number] = Revision(self, self._place.open(number))
            return found

    def __getitem__(self, number: int) -> Revision:
        return self.at(number)

    def __iter__(self) -> Iterator[Revision]:
        return map(self.at, self.numbers())

    def __len__(self) -> int:
        return len(self.numbers())

    def hold(self, number: int, name: str, seconds: float) -> None:
        """Keep a revision from being deleted for so long, on behalf of `name`, also when this process has ended.

        A call replaces the one before it for the same revision and name; with 0 seconds, the revision is let go.
        """
        leases = self._leases if self._leases is not None else Leases(self._place.leases, None)
        leases.hold(number, name, seconds)

    def heartbeat(self) -> int | None:
        """When the publisher was last known to be alive, with all that it had read in effect; ms since the epoch."""
        return self._place.heartbeat()

    def explained(self, number: int, error: Exception) -> RevisionError:
        """What is wrong with a revision that is open."""
        return self._place.explained(number, error)

    def close(self) -> None:
        """Let go of leases, threads and connections; what is open stays readable."""
        if self._leases is not None:
            self._leases.close()
        self._place.close()

    def __enter__(self) -> Revisions:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {"_place": self._place, "target_set": self.target_set}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Revisions.__init__(self, state["_place"], state["target_set"])

    @contextmanager
    def _leased(self, number: int) -> Iterator[None]:
        """While a revision is being opened."""
        if self._leases is None:
            yield
            return
        self._leases.begin(number)
        try:
            yield
        except BaseException:
            self._leases.end(number)
            self._leases.refresh()
            raise
        self._leases.end(number)


def _numbers(in_use: weakref.WeakValueDictionary[int, Revision]) -> set[int]:
    revisions = (reference() for reference in in_use.valuerefs())  # a list, which no other thread changes
    return {revision.number for revision in revisions if revision is not None}
