"""Letting arriving ids live at their points: new ones in bulk, copies and new versions one by one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tsds_stream.selection.arithmetic import Float32, Float64, Int64, UInt64
from tsds_stream.selection.points import PointStore


@dataclass(frozen=True)
class Arriving:
    """Documents that are to be held, in the order of the stream.

    Attributes:
        names: n distinct ids; keys: their n point keys.
        points: (n, d) float32 canonical; norms: (n,) float64; words: (n, 2) uint64 of the keys.
    """

    names: list[str]
    keys: list[bytes]
    points: Float32
    norms: Float64
    words: UInt64


def settle(arriving: Arriving, store: PointStore) -> tuple[Int64, Int64, int]:
    """Hold every id at its point.

    A new id at a new point, the common case, costs a few operations on sets and arrays. The others have no array form.

    Returns:
        (k,) int64 positions in `arriving` that brought a new point, ascending; (k,) int64 their slots; and the number
        of ids that were held before.
    """
    names, keys = arriving.names, arriving.keys
    first = dict(zip(reversed(keys), range(len(keys) - 1, -1, -1), strict=True))  # the first arrival of each key
    for key in store.known_keys(keys):
        del first[key]
    fresh = np.sort(np.fromiter(first.values(), np.int64, len(first)))
    known = store.known(names)
    redelivered = set()
    if known:
        for name, key in zip(names, keys, strict=True):
            if name in known:
                if store.slot_of_id(name) == store.slot_of_key(key):
                    redelivered.add(name)
                else:
                    store.detach(name)
    chosen = fresh.tolist()
    slots = store.insert(
        arriving.points[fresh], [keys[k] for k in chosen], arriving.norms[fresh], arriving.words[fresh]
    )
    if len(chosen) == len(names):
        store.attach_first(names, slots)
        return fresh, slots, len(known)
    if store.has_room(len(names)):
        store.attach_first([names[k] for k in chosen], slots)
        copies = sorted(set(range(len(names))).difference(chosen))
    else:  # which copies lose their names depends on the order of all
        copies = list(range(len(names)))
    for k in copies:
        if names[k] not in redelivered:
            slot = store.slot_of_key(keys[k])
            if slot is None:
                raise RuntimeError("a point vanished between its admission and its naming")
            store.attach(names[k], slot)
    return fresh, slots, len(known)
