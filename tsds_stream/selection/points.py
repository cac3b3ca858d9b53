"""The points a selector holds: distinct canonical embeddings in numbered slots, and the ids that live at them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from tsds_stream.selection.arithmetic import (
    Bool,
    Float32,
    Float64,
    Int64,
    UInt64,
    key_words,
    squared_norms,
    uniforms,
)

_GROWTH = 1.5
_RESTORED_AT_ONCE = 8192


class PointStore:
    """Slots are reused, so memory follows the number of points held, not the length of the stream.

    A slot is *live* while ids are attached to it, *gone* when its last id was retracted (it then still stands in
    shortlists until they are purged), and free after `release`. All arrays have one entry per slot below `size`.

    Attributes:
        vectors: (size, d) float32 canonical; norms: (size,) float64 squared norms.
        words: (size, 2) uint64 key words; draws: (size,) float64 fixed uniforms.
        multiplicity: (size,) int64 live ids at the point, named or only counted.
        held: (size,) bool, slots in use; born: (size,) int64 arrival number of the point.
    """

    def __init__(self, dimension: int, salt: np.uint64, max_ids: int) -> None:
        self.dimension = dimension
        self.size = 0
        self.unnamed = 0  # copies beyond `max_ids`: counted, but no longer known by name
        self._salt = salt
        self._max_ids = max_ids
        self._arrivals = 0
        self._free: list[int] = []
        self._slot_of_key: dict[bytes, int] = {}
        self._slot_of_id: dict[str, int] = {}
        self._owners: list[str | set[str] | None] = []
        self._vectors = np.empty((0, dimension), np.float32)
        self._norms = np.empty(0)
        self._words = np.empty((0, 2), np.uint64)
        self._draws = np.empty(0)
        self._multiplicity = np.empty(0, np.int64)
        self._held = np.empty(0, np.bool_)
        self._born = np.empty(0, np.int64)

    # -- arrays -------------------------------------------------------------------------------------------------

    @property
    def vectors(self) -> Float32:
        return self._vectors[: self.size]

    @property
    def norms(self) -> Float64:
        return self._norms[: self.size]

    @property
    def words(self) -> UInt64:
        return self._words[: self.size]

    @property
    def draws(self) -> Float64:
        return self._draws[: self.size]

    @property
    def multiplicity(self) -> Int64:
        return self._multiplicity[: self.size]

    @property
    def held(self) -> Bool:
        return self._held[: self.size]

    @property
    def born(self) -> Int64:
        return self._born[: self.size]

    def keys(self, slots: Int64) -> list[bytes]:
        """Keys of some slots."""
        raw = self._words[slots].astype(">u8").tobytes()
        return [raw[k : k + 16] for k in range(0, len(raw), 16)]

    def resalt(self, salt: np.uint64) -> None:
        """Draw the uniforms anew."""
        self._salt = salt
        self._draws[: self.size] = uniforms(self.words, salt)

    # -- ids ----------------------------------------------------------------------------------------------------

    @property
    def ids(self) -> int:
        """Number of named ids."""
        return len(self._slot_of_id)

    @property
    def in_use(self) -> int:
        """Number of slots that are not free."""
        return self.size - len(self._free)

    @property
    def points(self) -> int:
        """Number of points that are held."""
        return len(self._slot_of_key)

    def slot_of_id(self, name: str) -> int | None:
        return self._slot_of_id.get(name)

    def known(self, names: Iterable[str]) -> set[str]:
        """Those of `names` that are held: one set intersection, not a loop."""
        return self._slot_of_id.keys() & names

    def knows_none(self, names: Iterable[str]) -> bool:
        """Whether none of `names` is held."""
        return self._slot_of_id.keys().isdisjoint(names)

    def known_keys(self, keys: Iterable[bytes]) -> set[bytes]:
        """Those of `keys` whose point is held."""
        return self._slot_of_key.keys() & keys

    def has_room(self, names: int) -> bool:
        """Whether so many more ids can be held by name."""
        return len(self._slot_of_id) + names < self._max_ids

    def slot_of_key(self, key: bytes) -> int | None:
        return self._slot_of_key.get(key)

    def names_at(self, slot: int) -> list[str]:
        """Named ids at a point, ascending by UTF-8 (the order of code points)."""
        owners = self._owners[slot]
        return [] if owners is None else [owners] if isinstance(owners, str) else sorted(owners)

    def representative(self, slot: int) -> str:
        """The smallest live id at a point: what is published."""
        owners = self._owners[slot]
        if owners is None:
            raise KeyError(f"no id lives at slot {slot}")
        return owners if isinstance(owners, str) else min(owners)

    def items(self) -> Iterator[tuple[str, int]]:
        """(id, slot) of every named id."""
        return iter(self._slot_of_id.items())

    def attach(self, name: str, slot: int) -> None:
        """Let an id that is not held live at a point."""
        self._multiplicity[slot] += 1
        owners = self._owners[slot]
        if owners is None:
            self._owners[slot] = name
        elif len(self._slot_of_id) >= self._max_ids:
            self.unnamed += 1
            return
        elif isinstance(owners, str):
            self._owners[slot] = {owners, name}
        else:
            owners.add(name)
        self._slot_of_id[name] = slot

    def attach_first(self, names: Sequence[str], slots: Int64) -> None:
        """Let ids that are not held live at points where no id lives yet, one each."""
        self._multiplicity[slots] += 1
        owners = self._owners
        numbers = slots.tolist()
        for name, slot in zip(names, numbers, strict=True):
            owners[slot] = name
        self._slot_of_id.update(zip(names, numbers, strict=True))

    def detach(self, name: str) -> int | None:
        """Retract an id; its slot, or None when the id is not held."""
        slot = self._slot_of_id.pop(name, None)
        if slot is None:
            return None
        self._multiplicity[slot] -= 1
        owners = self._owners[slot]
        if isinstance(owners, set):
            owners.discard(name)
            if len(owners) == 1:
                self._owners[slot] = owners.pop()
        else:
            # Copies that were only counted cannot be published under a name, so they leave with the last named one.
            self._owners[slot] = None
            self._multiplicity[slot] = 0
        return slot

    # -- points -------------------------------------------------------------------------------------------------

    def insert(
        self, vectors: Float32, keys: Sequence[bytes], norms: Float64 | None = None, words: UInt64 | None = None
    ) -> Int64:
        """Take in new points, with no id yet; their slots. `norms` and `words` are computed unless given."""
        n = len(keys)
        reused = self._free[max(len(self._free) - n, 0) :][::-1]
        del self._free[len(self._free) - len(reused) :]
        fresh = n - len(reused)
        self._reserve(self.size + fresh)
        slots = np.array([*reused, *range(self.size, self.size + fresh)], np.int64)
        self.size += fresh
        self._owners.extend([None] * fresh)
        self._vectors[slots] = vectors
        self._norms[slots] = squared_norms(vectors) if norms is None else norms
        words = key_words(list(keys)) if words is None else words
        self._words[slots] = words
        self._draws[slots] = uniforms(words, self._salt)
        self._multiplicity[slots] = 0
        self._held[slots] = True
        self._born[slots] = np.arange(self._arrivals, self._arrivals + n)
        self._arrivals += n
        self._slot_of_key.update(zip(keys, slots.tolist(), strict=True))
        return slots

    def forget(self, slots: Int64) -> None:
        """Drop the keys and ids of points but keep their vectors until `release`: no later copy finds them."""
        for slot, key in zip(slots.tolist(), self.keys(slots), strict=True):
            if self._slot_of_key.get(key) == slot:
                del self._slot_of_key[key]
            for name in self.names_at(slot):
                del self._slot_of_id[name]
            self._owners[slot] = None
        self._multiplicity[slots] = 0

    def release(self, slots: Int64) -> None:
        """Free the slots of points that were forgotten."""
        self._held[slots] = False
        self._free.extend(slots.tolist())

    def _reserve(self, size: int) -> None:
        room = len(self._norms)
        if size <= room:
            return
        room = max(size, int(room * _GROWTH), 1024)
        # ndarray.resize reallocates in place where the allocator can move pages; a fresh array would copy them.
        for array in (
            self._vectors,
            self._norms,
            self._words,
            self._draws,
            self._multiplicity,
            self._held,
            self._born,
        ):
            array.resize((room, *array.shape[1:]), refcheck=False)

    def adopt_unnamed(self, slots: Int64, multiplicity: Int64) -> None:
        """Raise multiplicities to these, for copies that another store counted without a name."""
        unnamed = np.maximum(multiplicity - self._multiplicity[slots], 0)
        self._multiplicity[slots] += unnamed
        self.unnamed += int(unnamed.sum())

    # -- state --------------------------------------------------------------------------------------------------

    def live(self) -> Int64:
        """(live,) slots with ids, ascending: the order in which a saved state numbers them anew."""
        return np.flatnonzero(self.held & (self.multiplicity > 0))

    def restore(self, vectors: Float32, keys: list[bytes], born: Int64, multiplicity: Int64) -> None:
        """Fill an empty store with saved points; ids are attached by `restore_ids`."""
        self._reserve(len(keys))
        for start in range(0, len(keys), _RESTORED_AT_ONCE):  # one large copy would keep other threads waiting
            part = slice(start, start + _RESTORED_AT_ONCE)
            slots = self.insert(vectors[part], keys[part])
            self._born[slots] = born[part]
            self._multiplicity[slots] = multiplicity[part]
        self._arrivals = int(born.max(initial=-1)) + 1

    def restore_ids(self, names: list[str], slots: Int64) -> None:
        """Attach saved ids without counting them again."""
        for name, slot in zip(names, slots.tolist(), strict=True):
            owners = self._owners[slot]
            if owners is None:
                self._owners[slot] = name
            elif isinstance(owners, str):
                self._owners[slot] = {owners, name}
            else:
                owners.add(name)
            self._slot_of_id[name] = slot
