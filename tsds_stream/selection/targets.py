"""The target examples of one set: ids, weights, and the distinct queries they merge into."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from tsds_stream.selection.arithmetic import Float32, Float64, canonical, keys_of, single
from tsds_stream.selection.screen import unusable


@dataclass(frozen=True)
class Query:
    """Identical targets merge: the smallest id stands for them, with the sum of their weights."""

    id: str
    key: bytes
    weight: float


class Targets:
    """Targets by id; queries are their distinct canonical embeddings, in ascending order of id."""

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self._targets: dict[str, tuple[bytes, float]] = {}
        self._vectors: dict[bytes, Float32] = {}

    def __len__(self) -> int:
        return len(self._targets)

    def __contains__(self, name: object) -> bool:
        return name in self._targets

    def add(self, ids: Sequence[str], embeddings: Float32, weights: Sequence[float] | None) -> None:
        """Add targets or change them. Raises `ValueError` when one cannot be used; nothing is then added."""
        embeddings = single(embeddings)
        if embeddings.ndim != 2 or embeddings.shape != (len(ids), self.dimension):
            raise ValueError(f"targets must have shape ({len(ids)}, {self.dimension}), got {embeddings.shape}")
        if len(set(ids)) != len(ids):
            raise ValueError("target ids must be distinct")
        weights = [1.0] * len(ids) if weights is None else [float(w) for w in weights]
        if len(weights) != len(ids):
            raise ValueError(f"{len(ids)} targets but {len(weights)} weights")
        problems = [f"{name!r}: weight {w} is not a positive number" for name, w in zip(ids, weights, strict=True)
                    if not (0 < w < np.inf)]  # fmt: skip
        problems += [
            f"{ids[i]!r}: the embedding is {what.replace('_', '-')}" for i, what in unusable(embeddings).items()
        ]
        for name in ids:
            check_id(name)
        if problems:
            raise ValueError("targets cannot be used: " + "; ".join(problems))
        vectors = canonical(embeddings)
        for name, key, vector, weight in zip(ids, keys_of(vectors), vectors, weights, strict=True):
            self._targets[name] = (key, weight)
            self._vectors[key] = vector
        self._tidy()

    def remove(self, ids: Iterable[str]) -> None:
        """Withdraw targets. Raises `KeyError` for an unknown id; nothing is then withdrawn."""
        ids = list(ids)
        unknown = [name for name in ids if name not in self._targets]
        if unknown:
            raise KeyError(f"unknown targets: {', '.join(map(repr, unknown))}")
        for name in ids:
            self._targets.pop(name, None)
        self._tidy()

    def _tidy(self) -> None:
        used = {key for key, _ in self._targets.values()}
        self._vectors = {key: vector for key, vector in self._vectors.items() if key in used}

    def queries(self) -> list[Query]:
        """Distinct queries in ascending order of id (weights summed in that order)."""
        merged: dict[bytes, Query] = {}
        for name in sorted(self._targets):
            key, weight = self._targets[name]
            first = merged.get(key)
            merged[key] = Query(name, key, weight) if first is None else Query(first.id, key, first.weight + weight)
        return list(merged.values())

    def vectors(self, keys: Iterable[bytes]) -> Float32:
        """(n, d) float32 canonical embeddings of queries."""
        rows = [self._vectors[key] for key in keys]
        return np.stack(rows) if rows else np.empty((0, self.dimension), np.float32)

    def ids_of(self, keys: Iterable[bytes]) -> list[str]:
        """Ids of all targets whose query is among `keys`, ascending."""
        wanted = set(keys)
        return sorted(name for name, (key, _) in self._targets.items() if key in wanted)

    def digest(self, keys: Iterable[bytes]) -> str:
        """Hex blake2b-128 of the queries with these keys: id, weight and key, in order of id."""
        wanted, state = set(keys), blake2b(digest_size=16)
        for query in self.queries():
            if query.key in wanted:
                name = query.id.encode()
                state.update(len(name).to_bytes(4, "little") + name)
                state.update(np.float64(query.weight).tobytes() + query.key)
        return state.hexdigest()

    def items(self) -> list[tuple[str, bytes, float]]:
        """(id, key, weight) of every target, ascending by id."""
        return [(name, *self._targets[name]) for name in sorted(self._targets)]

    def restore(self, ids: list[str], keys: list[bytes], weights: Float64, vectors: Float32) -> None:
        """Fill an empty table with saved targets; vectors are canonical and aligned with ids."""
        for name, key, weight, vector in zip(ids, keys, weights.tolist(), vectors, strict=True):
            self._targets[name] = (key, weight)
            self._vectors[key] = vector


def check_id(name: object) -> None:
    """Raise `ValueError` unless `name` can be an id: a non-empty string that UTF-8 can encode."""
    if not isinstance(name, str) or not name:
        raise ValueError(f"an id must be a non-empty string, not {name!r}")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ValueError(f"the id {name!r} has no UTF-8 form") from None
