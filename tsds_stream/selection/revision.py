"""What a selector reports: the outcome of a call, and revisions of the selection."""

from __future__ import annotations

from dataclasses import dataclass, field

from tsds_stream.selection.arithmetic import Float64, Int64


@dataclass(frozen=True)
class AddReport:
    """The outcome of `Selector.add`.

    Attributes:
        accepted: records that were usable.
        admitted: new points that entered a shortlist (scope corpus: the index).
        duplicates: redeliveries, and copies of points that were held.
        expired: usable records that were older than the time to live when they came.
        rejected: (position in the call, reason) with reason "non_finite", "zero", "id" or "timestamp".
        held: (k,) int64 positions in the call whose id is held afterwards; keys: their 16-byte point keys.
    """

    accepted: int
    admitted: int
    duplicates: int
    expired: int
    rejected: list[tuple[int, str]]
    held: Int64 = field(repr=False)
    keys: list[bytes] = field(repr=False)


@dataclass(frozen=True)
class RemoveReport:
    """The outcome of `Selector.remove`: ids that were held, and ids that were not."""

    removed: int
    unknown: int


@dataclass(frozen=True)
class Notice:
    """A warning as data and as a sentence."""

    code: str
    sentence: str

    @property
    def page(self) -> str:
        """Where in the documentation stands what to do about it."""
        return f"tsds_stream/selection/PARAMETERS.md#{self.code}"


@dataclass(frozen=True)
class Revision:
    """One immutable version of a selection. Arrays are aligned with `ids`, which ascend by UTF-8.

    Attributes:
        number: 1, 2, 3, …; 0 for a preview.
        keys: 16-byte point keys; multiplicities: (n,) int64 live ids at each point.
        probabilities: (n,) float64 mass of the transport plan; weights: (n,) float64; densities: (n,) float64, nan
            where none was needed.
        added, removed: ids, against the revision before (a preview: against the last revision).
        exact: bit for bit the selection that a batch computation over the prefix gives; else `reasons` say why not.
        filling_alpha: the alpha that would fill the budget, where the selection falls short of it.
        s, alpha: the solution's coupling scalar and the (implied) alpha; tau: the threshold of the ranks u/p.
        live_documents: live ids, where they are known (regularizer tv, scope corpus).
    """

    number: int
    ids: list[str]
    keys: list[bytes]
    probabilities: Float64
    weights: Float64
    densities: Float64
    multiplicities: Int64
    added: list[str]
    removed: list[str]
    exact: bool
    reasons: tuple[str, ...]
    short_of_budget: bool
    filling_alpha: float | None
    digest: str
    tau: float | None
    alpha: float | None
    sigma: float | None
    s: float | None
    transport_cost: float
    effective_sample_size: float | None
    support: int
    truncated: int
    short: int
    targets_active: int
    targets_pending: int
    targets_digest: str
    documents_seen: int
    live_documents: int | None
    warnings: tuple[Notice, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.ids)
