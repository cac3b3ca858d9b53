"""Why documents entered or left a selection.

The order of precedence, the first that holds:

  who left    retractions    its last record is a retraction (known exactly)
              expiry         its last timestamp is beyond the time to live (known exactly)
              configuration  the parameters of the set are others than those of the revision before
              targets        the active targets are others
              arrivals       it was pushed out, or a new version of it is no longer near
  who entered configuration, targets
                             as above
              retractions, expiry
                             it did not arrive since the revision before, and takes one of the places that these left
                             vacant: as many as there are, by ascending id, retractions first
              arrivals       it is new, or arrivals have moved probabilities so that it is drawn now
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from typing import Literal, get_args

Cause = Literal["arrivals", "retractions", "expiry", "targets", "configuration"]
CAUSES: tuple[Cause, ...] = get_args(Cause)


def causes_of(
    entered: Iterable[str],
    left: Iterable[str],
    *,
    arrived: Set[str],
    gone: Mapping[str, Cause],
    reconfigured: bool,
    retargeted: bool,
) -> tuple[dict[str, Cause], dict[str, Cause]]:
    """The cause for each document that entered and for each that left.

    Args:
        arrived: ids that came since the revision before; at least those of `entered`.
        gone: what is known exactly of those that left and are not held any more.
    """
    rest: Cause = "configuration" if reconfigured else "targets" if retargeted else "arrivals"
    leaving: dict[str, Cause] = {name: gone.get(name, rest) for name in left}
    if rest != "arrivals":
        return dict.fromkeys(entered, rest), leaving
    vacant = Counter(leaving.values())
    filled: tuple[Cause, ...] = ("expiry", "retractions")  # taken from the end
    places = [cause for cause in filled for _ in range(vacant[cause])]
    entering: dict[str, Cause] = {}
    for name in sorted(entered):
        entering[name] = places.pop() if places and name not in arrived else "arrivals"
    return entering, leaving
