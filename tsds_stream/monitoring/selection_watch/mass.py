"""How far two states of a selection are apart: total variation of the probabilities, turnover of the members."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tsds_stream.selection.arithmetic import Bool, Float64, Int64, UInt64

KEPT = 1 << 16  # points of a mass that is kept; keys are hashes, so the first ones in their order are a fair sample


@dataclass(frozen=True, slots=True)
class Mass:
    """The probabilities and the members of one revision, by the first word of the points' keys.

    Attributes:
        words: (n,) uint64, ascending; probabilities: (n,) float, aligned.
        members: (k,) uint64, ascending.
        share: of all keys, those that are here: the ones below share · 2^64.
    """

    words: UInt64
    probabilities: Float64
    members: UInt64
    share: float = 1.0

    def thinned(self, kept: int = KEPT) -> Mass:
        """About `kept` points at most."""
        return self.within(min(1.0, kept / max(len(self.words), len(self.members), 1)))

    def within(self, share: float) -> Mass:
        """Only the keys below share · 2^64."""
        if share >= self.share:
            return self
        limit = np.uint64(int(share * 2.0**64))
        n, k = np.searchsorted(self.words, limit), np.searchsorted(self.members, limit)
        return Mass(self.words[:n].copy(), self.probabilities[:n].copy(), self.members[:k].copy(), share)


def total_variation(a: Mass, b: Mass) -> float | None:
    """½ Σ |p_a − p_b| over all points, 0 … 1; an estimate where one of them is thinned. None without mass."""
    if not len(a.words) or not len(b.words):
        return None
    share = min(a.share, b.share)
    a, b = a.within(share), b.within(share)
    at, both = _places(b.words, a.words)
    difference = a.probabilities.astype(np.float64)
    difference[at[both]] -= b.probabilities[both]
    distance = 0.5 * (np.abs(difference).sum() + b.probabilities[~both].sum(dtype=np.float64)) / share
    return min(float(distance), 1.0)


def turnover(a: Mass, b: Mass) -> float | None:
    """1 − |A ∩ B| / |A ∪ B| of the members (points: a copy in the place of another one is no turnover)."""
    share = min(a.share, b.share)
    a, b = a.within(share), b.within(share)
    _, both = _places(b.members, a.members)
    common = int(np.count_nonzero(both))
    union = len(a.members) + len(b.members) - common
    return 1.0 - common / union if union else None


def _places(words: UInt64, among: UInt64) -> tuple[Int64, Bool]:
    """Where words stand among ascending others, and which of them do."""
    if not len(among):
        return np.zeros(len(words), np.int64), np.zeros(len(words), np.bool_)
    at = np.minimum(np.searchsorted(among, words), len(among) - 1)
    found: Bool = among[at] == words
    return at, found
