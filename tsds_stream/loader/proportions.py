"""Which source comes next, so that each has its share of what was served at every moment.

With T served in all and x of it from a source of share λ, the source is due by λT - x. Of those that have not had too
much (λT >= x), the one comes next whose debt would first reach the largest sample: the earliest (x + largest) / λ. This
is earliest deadline first, and no debt reaches the largest sample, nor does any excess: where a source is late by that
much, those with deadlines as early as its own have been served all the time since none of them was due, which makes
less than was served. In tokens the largest sample is known only from those that came; while the largest one grows, the
debt stays below it times (1 + λ).
"""

from __future__ import annotations

from collections.abc import Sequence

from tsds_stream.loader.permutation import round_keys


class Proportions:
    """How much every source has served.

    Args:
        names: of the sources.
        shares: of what is served, in the order of the names; only their ratios count.
        seed: decides between sources that are equally due.

    Attributes:
        served: what every source has served since the beginning, or since one was left out.
        largest: the largest sample so far.
        left_out: whether a source is left out, by source.
    """

    def __init__(self, names: Sequence[str], shares: Sequence[float], seed: int) -> None:
        self._shares = list(shares)
        self._turns = [int(round_keys(1, "mixture", seed, name)[0]) for name in names]
        self.begin()

    def begin(self) -> None:
        """Nothing was served, and no source is left out."""
        self.restore([0] * len(self._shares), 1, [False] * len(self._shares))

    def restore(self, served: Sequence[int], largest: int, left_out: Sequence[bool]) -> None:
        self.served, self.largest, self.left_out = list(served), largest, list(left_out)
        whole = sum(share for share, out in zip(self._shares, left_out, strict=True) if not out)
        self._kept = [
            (k, share / whole) for k, (share, out) in enumerate(zip(self._shares, left_out, strict=True)) if not out
        ]
        self._total = sum(self.served)

    def next(self) -> int | None:
        """The source that comes next, by its place among the names; None where all are left out."""
        due, best = None, (0.0, 0)
        # Rounding must not leave out all of those whose debt is nothing.
        total, least = self._total, -1e-9 * (self._total + 1)
        for k, share in self._kept:
            served = self.served[k]
            if share * total - served < least:
                continue
            when = ((served + self.largest) / share, self._turns[k])
            if due is None or when < best:
                due, best = k, when
        return due

    def add(self, source: int, amount: int) -> None:
        """A source has served so many tokens or documents."""
        self.served[source] += amount
        self._total += amount
        self.largest = max(self.largest, amount)

    def leave_out(self, source: int) -> None:
        """The others share from now on, in the ratios of their shares."""
        self.restore([0] * len(self._shares), self.largest, [out or k == source for k, out in enumerate(self.left_out)])
