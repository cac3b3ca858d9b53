"""The state of a selector on disk: arrays as .npy files, the rest as one JSON file.

Integrity is the business of whoever keeps the directory (the checkpoint store keeps checksums); here only the format is
checked. Slots are numbered anew on saving, so a state holds live points alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsds_stream.selection.arithmetic import Int64, key_words
from tsds_stream.selection.census import Census
from tsds_stream.selection.core import Core
from tsds_stream.selection.late import Late
from tsds_stream.selection.pool import Pool
from tsds_stream.selection.revision import Notice, Revision
from tsds_stream.selection.settings import SelectorConfig

FORMAT = 1

Arrays = dict[str, NDArray[Any]]
_ROWS = ("counts", "frontier", "frontier_words")


@dataclass(frozen=True)
class Snapshot:
    """A copied state. `write` touches nothing that a selector still uses, so another thread may call it."""

    arrays: Arrays
    meta: dict[str, Any]

    def write(self, directory: Path) -> None:
        """Write into a new or empty directory. Raises `OSError`."""
        directory.mkdir(parents=True, exist_ok=True)
        for name, array in self.arrays.items():
            with open(directory / f"{name}.npy", "wb") as file:
                np.save(file, array, allow_pickle=False)
        (directory / "selector.json").write_text(json.dumps(self.meta), encoding="utf-8")


def write_state(core: Core, revision: Revision | None, number: int) -> Snapshot:
    """Copy the state of a selector."""
    core.settle_state()
    arrays: Arrays = {}
    targets = core.targets.items()
    arrays["targets.ids"] = _pack([name for name, _, _ in targets])
    arrays["targets.keys"] = key_words([key for _, key, _ in targets])
    arrays["targets.weights"] = np.array([weight for _, _, weight in targets])
    arrays["targets.vectors"] = core.targets.vectors(key for _, key, _ in targets)
    _write_pool("pool", core.pool, arrays)
    if core.late is not None:
        _write_pool("late", core.late.pool, arrays)
        arrays["late.keys"] = key_words(core.late.keys)
        arrays["late.changed"] = _pack(core.late.changed)
    if core.tokens is not None:
        arrays["tokens.ids"] = _pack(core.tokens)
        arrays["tokens.counts"] = np.array(list(core.tokens.values()), np.int64)
    if core.expiry is not None:
        arrays["expiry.ids"] = _pack(core.expiry.times)
        arrays["expiry.times"] = np.array(list(core.expiry.times.values()), np.int64)
    if core.census is not None:
        arrays["census.ids"] = _pack(core.census.ids)
    meta: dict[str, Any] = {
        "format": FORMAT,
        "name": core.name,
        "dimension": core.dimension,
        "config": core.config.model_dump(mode="json"),
        "max_k": core.max_k,
        "active": [query.key.hex() for query in core.active],
        "unproven": sorted(key.hex() for key in core.unproven),
        "seen": core.seen,
        "lossy": core.lossy,
        "calibrated": core.calibrated,
        "sigma": core.frozen_sigma,
        "number": number,
        "late_overflowed": core.late is not None and core.late.overflowed,
        "watermark": None if core.expiry is None else core.expiry.watermark,
        "census": None if core.census is None else {"beyond": core.census.beyond, "known": core.census.known},
        "revision": None,
    }
    if revision is not None:
        meta["revision"] = _write_revision(revision, arrays)
    return Snapshot(arrays, meta)


def read_state(directory: Path) -> tuple[Core, Revision | None, int]:
    """Read what `write_state` wrote. Raises `OSError` or `ValueError`."""
    try:
        meta = json.loads((directory / "selector.json").read_text(encoding="utf-8"))
        if meta["format"] != FORMAT:
            raise ValueError(f"{directory} holds state of format {meta['format']}, this version reads {FORMAT}")
        arrays = _Arrays(directory)
        return _read(meta, arrays)
    except (KeyError, json.JSONDecodeError, UnicodeDecodeError, EOFError) as error:
        raise ValueError(f"{directory} does not hold a whole selector state: {error!r}") from error


class _Arrays:
    """The arrays of a directory, read when asked for."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __getitem__(self, name: str) -> NDArray[Any]:
        array: NDArray[Any] = np.load(self._directory / f"{name}.npy", allow_pickle=False)
        return array

    def strings(self, name: str) -> list[str]:
        return _unpack(self[name])

    def keys(self, name: str) -> list[bytes]:
        raw = self[name].astype(">u8").tobytes()
        return [raw[k : k + 16] for k in range(0, len(raw), 16)]


def _read(meta: dict[str, Any], arrays: _Arrays) -> tuple[Core, Revision | None, int]:
    core = Core(meta["name"], SelectorConfig(**meta["config"]), meta["dimension"])
    core.targets.restore(
        arrays.strings("targets.ids"),
        arrays.keys("targets.keys"),
        arrays["targets.weights"],
        arrays["targets.vectors"],
    )
    core.max_k = meta["max_k"]
    active = {bytes.fromhex(key) for key in meta["active"]}
    core.active = [query for query in core.targets.queries() if query.key in active]
    core.unproven = {bytes.fromhex(key) for key in meta["unproven"]}
    core.seen, core.lossy = meta["seen"], meta["lossy"]
    core.frozen_sigma, core.calibrated = meta["sigma"], meta["calibrated"]
    core.pool = core.new_pool([query.key for query in core.active])
    _read_pool("pool", core.pool, arrays)
    if (arrays._directory / "late.keys.npy").exists():
        keys = arrays.keys("late.keys")
        core.late = Late(keys, core.new_pool(keys), core.config.max_ids)
        core.late.changed = set(arrays.strings("late.changed"))
        core.late.overflowed = meta["late_overflowed"]
        _read_pool("late", core.late.pool, arrays)
    if (arrays._directory / "tokens.ids.npy").exists():  # kept from an earlier token budget, too
        core.tokens = dict(zip(arrays.strings("tokens.ids"), arrays["tokens.counts"].tolist(), strict=True))
    if core.expiry is not None:
        times = dict(zip(arrays.strings("expiry.ids"), arrays["expiry.times"].tolist(), strict=True))
        core.expiry.restore(meta["watermark"], times)
    if meta["census"] is not None:
        core.census = Census(core.config.max_ids)
        core.census.restore(set(arrays.strings("census.ids")), meta["census"]["beyond"], meta["census"]["known"])
    revision = None if meta["revision"] is None else _read_revision(meta["revision"], arrays)
    return core, revision, meta["number"]


def _write_pool(prefix: str, pool: Pool, arrays: Arrays) -> None:
    """Points in use numbered 0, 1, …; rows flat, by their counts."""
    store, lists = pool.store, pool.lists
    slots = store.live()
    number = np.full(store.size, -1, np.int64)
    number[slots] = np.arange(len(slots))
    arrays[f"{prefix}.vectors"] = store.vectors[slots]
    arrays[f"{prefix}.words"] = store.words[slots]
    arrays[f"{prefix}.born"] = store.born[slots]
    arrays[f"{prefix}.multiplicity"] = store.multiplicity[slots]
    names, at = [], []
    for name, slot in store.items():
        names.append(name)
        at.append(slot)
    arrays[f"{prefix}.ids"] = _pack(names)
    arrays[f"{prefix}.id_points"] = number[np.array(at, np.int64)]
    inside = np.arange(lists.squared.shape[1]) < lists.counts[:, None]
    arrays[f"{prefix}.squared"] = lists.squared[inside]
    arrays[f"{prefix}.points"] = number[lists.slots[inside]].astype(np.int32)
    for name in _ROWS:
        arrays[f"{prefix}.{name}"] = getattr(lists, name).copy()
    arrays[f"{prefix}.counters"] = np.array([store.unnamed, pool.superseded], np.int64)


def _read_pool(prefix: str, pool: Pool, arrays: _Arrays) -> None:
    store, lists = pool.store, pool.lists
    keys = arrays.keys(f"{prefix}.words")
    store.restore(arrays[f"{prefix}.vectors"], keys, arrays[f"{prefix}.born"], arrays[f"{prefix}.multiplicity"])
    store.restore_ids(arrays.strings(f"{prefix}.ids"), arrays[f"{prefix}.id_points"])
    for name in _ROWS:
        getattr(lists, name)[:] = arrays[f"{prefix}.{name}"]
    if int(lists.counts.max(initial=0)) > lists.squared.shape[1]:
        raise ValueError(f"the {prefix} of the saved state has longer rows than its configuration allows")
    inside = np.arange(lists.squared.shape[1]) < lists.counts[:, None]
    lists.squared[inside] = arrays[f"{prefix}.squared"]
    lists.slots[inside] = arrays[f"{prefix}.points"]
    lists.ordered[:] = lists.counts
    store.unnamed, pool.superseded = arrays[f"{prefix}.counters"].tolist()


_PLAIN = [
    field.name
    for field in fields(Revision)
    if field.name not in {"ids", "keys", "probabilities", "weights", "densities", "multiplicities", "warnings"}
]


def _write_revision(revision: Revision, arrays: Arrays) -> dict[str, Any]:
    arrays["revision.ids"] = _pack(revision.ids)
    arrays["revision.keys"] = key_words(revision.keys)
    for name in ("probabilities", "weights", "densities", "multiplicities"):
        arrays[f"revision.{name}"] = getattr(revision, name)
    plain = {name: getattr(revision, name) for name in _PLAIN}
    return {**plain, "warnings": [asdict(notice) for notice in revision.warnings]}


def _read_revision(plain: dict[str, Any], arrays: _Arrays) -> Revision:
    return Revision(
        **{
            **plain,
            "reasons": tuple(plain["reasons"]),
            "warnings": tuple(Notice(**notice) for notice in plain["warnings"]),
            "ids": arrays.strings("revision.ids"),
            "keys": arrays.keys("revision.keys"),
            **{
                name: arrays[f"revision.{name}"] for name in ("probabilities", "weights", "densities", "multiplicities")
            },
        }
    )


def _pack(names: Iterable[str]) -> NDArray[np.uint8]:
    """Strings as bytes: their number, their lengths in bytes, their UTF-8."""
    encoded = [name.encode() for name in names]
    lengths = np.array([len(encoded), *map(len, encoded)], "<u4").tobytes()
    return np.frombuffer(lengths + b"".join(encoded), np.uint8)


def _unpack(packed: NDArray[np.uint8]) -> list[str]:
    raw = packed.tobytes()
    count = int(np.frombuffer(raw[:4], "<u4")[0])
    ends = np.cumsum(np.frombuffer(raw[4 : 4 + 4 * count], "<u4").astype(np.int64)) + 4 + 4 * count
    starts: Int64 = np.concatenate([[4 + 4 * count], ends[:-1]]) if count else ends
    return [raw[a:b].decode() for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]
