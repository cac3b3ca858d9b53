"""What the selection was an hour and a day ago: masses kept at the full ten minutes and the full hours."""

from __future__ import annotations

from typing import Final

from tsds_stream.monitoring.selection_watch.mass import Mass

MINUTE: Final = 60_000
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
KEPT: Final = 1 << 14  # points of each mass: 32 of them stay below 11 MB
_GRIDS: Final = ((10 * MINUTE, HOUR), (HOUR, DAY))  # (distance of two masses, how far back one is looked for)


class Horizons:
    """A ring of past masses; times are milliseconds.

    Attributes:
        kept: by the moment at which they were in force.
    """

    def __init__(self) -> None:
        self.kept: dict[int, Mass] = {}

    def replaced(self, mass: Mass, since: int, now: int) -> None:
        """`mass` was in force from `since` until `now`, when another one took its place."""
        thin: Mass | None = None
        for step, back in _GRIDS:
            first = max(-(-since // step), (now - back) // step) * step
            for moment in range(first, now, step):
                if moment not in self.kept:
                    thin = mass.thinned(KEPT) if thin is None else thin
                    self.kept[moment] = thin
        oldest = {step: (now - back) // step * step for step, back in _GRIDS}
        self.kept = {
            moment: kept
            for moment, kept in self.kept.items()
            if any(moment % step == 0 and moment >= oldest[step] for step, _ in _GRIDS)
        }

    def at(self, now: int, back: int) -> Mass | None:
        """The mass that was in force `back` before `now`, give or take the distance of two masses; None: not known."""
        step = next(step for step, reach in _GRIDS if reach == back)
        return self.kept.get((now - back) // step * step)
