"""What consumers must be sent so that what they hold becomes a new revision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tsds_stream.digests import digest_of
from tsds_stream.streams.base import Sent

_KEY_BYTES = 16


class Selected(Protocol):
    """The part of a `Revision` that is sent: ids ascending, everything else aligned with them."""

    @property
    def ids(self) -> Sequence[str]: ...
    @property
    def keys(self) -> Sequence[bytes]: ...
    @property
    def probabilities(self) -> NDArray[np.float64]: ...
    @property
    def weights(self) -> NDArray[np.float64]: ...
    @property
    def multiplicities(self) -> NDArray[np.int64]: ...


@dataclass(frozen=True, slots=True)
class Held:
    """What consumers hold of one target set, as arrays aligned with ascending ids."""

    ids: list[str]
    keys: NDArray[np.bytes_]  # (n,) S16
    probabilities: NDArray[np.float64]  # (n,) as sent, which may be a little behind the exact ones
    weights: NDArray[np.float64]  # (n,)
    multiplicities: NDArray[np.int64]  # (n,)

    @classmethod
    def of(cls, members: Mapping[str, Sent]) -> Held:
        """From what a sink says that it holds."""
        ids = sorted(members)
        sent = [members[name] for name in ids]
        return cls(
            ids,
            _keys([one.key for one in sent]),
            np.array([one.probability for one in sent], np.float64),
            np.array([one.weight for one in sent], np.float64),
            np.array([one.multiplicity for one in sent], np.int64),
        )

    @property
    def digest(self) -> str:
        """`published_digest` of a revision record."""
        return digest_of(self.ids, self.probabilities, self.weights)


@dataclass(frozen=True, slots=True)
class Difference:
    """From what is held to a revision.

    Attributes:
        send: (k,) int64 positions in the revision's ids that are new or must be sent again.
        added: how many of them are new members.
        removed: ids that leave.
        held: what consumers hold once both are applied.
    """

    send: NDArray[np.int64]
    added: int
    removed: list[str]
    held: Held

    @property
    def empty(self) -> bool:
        return len(self.send) == 0 and not self.removed


def difference(held: Held, revision: Selected, weight_change: float) -> Difference:
    """A member is sent when it is new, when its point or multiplicity has changed, or when its p or weight has moved by
    more than the share `weight_change` of what was sent: any arrival moves every p a little, and sending all of them
    each time would cost in proportion to the budget.
    """
    ids = list(revision.ids)
    keys = _keys(revision.keys)
    if ids == held.ids:
        before, known, removed = np.arange(len(ids)), np.ones(len(ids), np.bool_), list[str]()
    else:
        where = {name: i for i, name in enumerate(held.ids)}
        before = np.array([where.get(name, -1) for name in ids], np.int64)
        known = before >= 0
        removed = sorted(held.ids[i] for i in np.setdiff1d(np.arange(len(held.ids)), before[known]).tolist())
    was = before[known]
    same = np.zeros(len(ids), np.bool_)
    same[known] = (
        (keys[known] == held.keys[was])
        & (revision.multiplicities[known] == held.multiplicities[was])
        & _near(revision.probabilities[known], held.probabilities[was], weight_change)
        & _near(revision.weights[known], held.weights[was], weight_change)
    )
    p, weight = revision.probabilities.copy(), revision.weights.copy()
    kept = before[same]
    p[same], weight[same] = held.probabilities[kept], held.weights[kept]
    after = Held(ids, keys, p, weight, revision.multiplicities.copy())
    return Difference(np.flatnonzero(~same), int(np.count_nonzero(~known)), removed, after)


def _near(value: NDArray[np.float64], sent: NDArray[np.float64], share: float) -> NDArray[np.bool_]:
    return np.abs(value - sent) <= share * np.abs(sent)


def _keys(keys: Sequence[bytes]) -> NDArray[np.bytes_]:
    # All keys have 16 bytes, so that numpy's padding with zeros cannot make two different ones equal.
    return np.array(list(keys), dtype=f"S{_KEY_BYTES}")
