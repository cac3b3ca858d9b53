"""The automatic kernel width: a share of the median distance from a target to its nearest document."""

from __future__ import annotations

from typing import Final

import numpy as np

from tsds_stream.selection.settings import MAX_SIGMA, MIN_SIGMA
from tsds_stream.selection.shortlists import Shortlists

SHARE: Final = 0.65  # wide enough for near-copies, narrow enough to keep the target's own density (measured)


def median_nearest_distance(lists: Shortlists) -> float | None:
    """Median over the queries of the distance to the nearest point; None while no query has one.

    Copies of documents do not move it, unlike the nearest-neighbour distances within the corpus.
    """
    held = lists.counts > 0
    return float(np.median(np.sqrt(lists.squared[held].min(1)))) if held.any() else None


def nearest_distance_sigma(lists: Shortlists) -> float | None:
    """`sigma = "auto"`: 0.65 x that median, within the limits of the kernel width."""
    median = median_nearest_distance(lists)
    return None if median is None else min(max(SHARE * median, MIN_SIGMA), MAX_SIGMA)
