"""Why a document is selected or not, with what would have to change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tsds_stream.selection.arithmetic import Float32, Float64, squared_distances


@dataclass(frozen=True)
class NearTarget:
    """A target near to the document: its id, the distance, and the document's position on its shortlist (1 = nearest).

    The position is None beyond the shortlist; then `needed` is the distance of the shortlist's last entry.
    """

    id: str
    distance: float
    position: int | None
    needed: float | None
    mass: float


@dataclass(frozen=True)
class Explanation:
    """Why a document is selected or not. Fields that do not apply are None.

    Attributes:
        state: "selected", "candidate" (has mass, not taken), "shortlisted" (no mass), "far" (on no shortlist) or
            "unknown".
        crowded_by: (id, distance) of the nearest selected document that lies within `min_distance`, for a document
            that is not selected.
        rank, threshold: the document's rank u/p and the largest rank that is selected.
        probability: its mass in the plan; would_be_probability: for a document that is not held, an estimate.
    """

    id: str | None
    state: str
    nearest: list[NearTarget]
    density: float | None
    multiplicity: int | None
    representative: str | None
    probability: float | None
    would_be_probability: float | None
    uniform: float | None
    rank: float | None
    threshold: float | None
    weight: float | None
    mode: str
    crowded_by: tuple[str, float] | None
    changes: list[str]

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)

    def sentences(self) -> list[str]:
        """The same as sentences for a person."""
        subject = "The document" if self.id is None else f"Document {self.id!r}"
        if self.state == "unknown":
            return [
                f"{subject} is not held: it has not been seen, was retracted, has expired, or lies farther from every "
                "target than their shortlists reach. Give its text or embedding to see how far."
            ]
        said = {
            "selected": "is selected",
            "candidate": "is not selected, though it has mass in the plan",
            "shortlisted": "is not selected: it is on a shortlist, but the plan does not reach it",
            "far": "is not selected: it is on no target's shortlist",
        }
        if self.mode == "turns":  # whatever the plan gives them
            said |= dict.fromkeys(("candidate", "shortlisted"), "is not selected, though it is on a shortlist")
        lines = [f"{subject} {said[self.state]}."]
        if self.representative is not None and self.representative != self.id and self.id is not None:
            lines.append(f"It is a copy: document {self.representative!r} stands for the same point.")
        for near in self.nearest:
            where = f"position {near.position} on its shortlist" if near.position else "beyond its shortlist"
            if near.position is None and near.needed is not None:
                where += f", which ends at {near.needed:.4f}"
            lines.append(f"Target {near.id!r} is {near.distance:.4f} away ({where}).")
        if self.density is not None:
            lines.append(
                f"Its density is {self.density:.3f} at multiplicity {self.multiplicity}: "
                + ("it stands alone." if self.density < 1.05 else "near-duplicates share its mass.")
            )
        what = "mass in the plan" if self.mode == "turns" else "probability"
        if self.probability:
            lines.append(f"Its {what} is {self.probability:.3e}.")
        if self.would_be_probability:
            given = "mass in the plan" if self.mode == "turns" else "a probability"
            lines.append(f"If it arrived now it would get {given} of about {self.would_be_probability:.3e}.")
        elif self.would_be_probability is not None and self.mode != "turns":
            lines.append("If it arrived now it would get no mass.")
        if self.rank is not None and self.threshold is not None:
            order = "below" if self.rank <= self.threshold else "above"
            lines.append(f"Its rank u/p is {self.rank:.4g}, {order} the threshold {self.threshold:.4g}.")
        return lines + self.changes


def nearest_queries(
    vectors: Float32, queries: Float32, ids: Sequence[str], count: int
) -> list[list[tuple[str, float]]]:
    """For each canonical row the `count` nearest queries, by (exact distance, id).

    Args:
        queries: (M, d) float32 in ascending order of id.
    """
    found: list[list[tuple[str, float]]] = []
    for start in range(0, len(vectors), 1024):
        squared = squared_distances(vectors[start : start + 1024], queries)
        if count < squared.shape[1]:
            # Ties at the cut are decided by id, so take in all that are as near as the last one.
            edge = np.partition(squared, count - 1, axis=1)[:, count - 1 : count]
        else:
            edge = np.full((len(squared), 1), np.inf)
        for row, limit in zip(squared, edge[:, 0], strict=True):
            near = np.flatnonzero(row <= limit)
            near = near[np.argsort(row[near], kind="stable")][:count]
            found.append([(ids[k], float(d)) for k, d in zip(near.tolist(), np.sqrt(row[near]), strict=True)])
    return found


def position_in(row: Float64, squared: float) -> int:
    """How many entries of an ascending row lie strictly nearer."""
    return int(np.searchsorted(row, squared, side="left"))
