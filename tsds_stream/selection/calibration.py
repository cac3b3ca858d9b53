"""The automatic kernel width: a share of the median distance from a target to its nearest document."""

from __future__ import annotations

from typing import Final

import numpy as np

from tsds_stream.selection.settings import MAX_SIGMA, MIN_SIGMA
from tsds_stream.selection.shortlists import Shortlists

SHARE: Final = 0.65  # wide enough for near-copies, narrow enough to keep the target's own density (measured)


def median_nearest_distance(lists: Shortlists) -> float | None:
    """Median over the queries of the distance to the nearest point that is not identical to the query.

    None while no query has a point; 0 when every point that is listed is identical to its query. A query that lists
    nothing but itself has no say otherwise. Copies of documents do not move it, unlike the nearest-neighbour distances
    within the corpus; nor do documents that are themselves targets: each is one point, so the next one counts.
    """
    if not (lists.counts > 0).any():
        return None
    nearest = lists.squared.min(1)
    itself = np.flatnonzero(nearest == 0)
    nearest[itself] = np.inf
    if lists.length > 1:  # what stands behind the last entry is there only until the row is next ordered
        nearest[itself] = np.where(lists.squared[itself] > 0, lists.squared[itself], np.inf).min(1)
    others = nearest[np.isfinite(nearest)]
    return float(np.median(np.sqrt(others))) if len(others) else 0.0


def nearest_distance_sigma(lists: Shortlists) -> float | None:
    """`sigma = "auto"`: 0.65 x that median, within the limits of the kernel width."""
    median = median_nearest_distance(lists)
    return None if median is None else min(max(SHARE * median, MIN_SIGMA), MAX_SIGMA)
