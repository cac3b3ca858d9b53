"""The parameters of one selector: each option's name, type, default and meaning stand here and nowhere else."""

from __future__ import annotations

from math import ceil
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tsds_stream.units import Milliseconds

Regularizer = Literal["kde", "uniform", "tv"]
Scope = Literal["candidates", "corpus"]
IndexKind = Literal["auto", "exact", "hnsw"]
Mode = Literal["coordinated", "turns", "top", "multinomial"]

MIN_SIGMA = 2.0**-20
MAX_SIGMA = 2.0**10
_FAR_TOO_MUCH = 1e300  # leaves room for the number of targets: sums stay finite
ASSUMED_TOKENS_PER_DOCUMENT = 128  # only to size `max_k = "auto"` under a token budget without a document budget

# What cannot change on a running selector: other values need the documents to be read again.
STRUCTURAL = ("max_k", "slack", "scope", "capacity", "ttl", "refill", "max_ids", "kde_k", "index", "exact_limit")


class SelectorConfig(BaseModel):
    """Parameters of a `Selector`. Unknown names and impossible values raise `ValueError` (pydantic), all at once."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    budget: Annotated[int, Field(ge=1)] | None = Field(1000, description="documents to select; none: only token_budget")
    regularizer: Regularizer = Field(
        "kde", description="kde: near-duplicates share mass; uniform: they do not; tv: nearest neighbour plus crumbs"
    )
    alpha: Literal["auto"] | Annotated[float, Field(gt=0, lt=1)] = Field(
        "auto", description="weight of closeness against diversity; auto: as diverse as `spread` times the budget"
    )
    distance_scale: float = Field(1.0, gt=0, description="C of the transport objective: the unit of distance")
    spread: float = Field(1.5, gt=0, description="alpha = auto: distinct documents within reach, in units of budget")
    sigma: Literal["auto"] | Annotated[float, Field(ge=0, le=MAX_SIGMA)] = Field(
        "auto", description="kernel width of the density, a distance of unit vectors; 0 switches density off; "
        "auto: 0.65 x the median distance of a target to its nearest document, frozen after `calibration`"
    )  # fmt: skip
    calibration: int = Field(10_000, ge=1, description="documents after which sigma = auto is frozen")
    max_k: Literal["auto"] | Annotated[int, Field(ge=1)] = Field(
        "auto", description="length of each target's shortlist; auto: max(256, 8 x spread x budget / targets)"
    )
    slack: Annotated[int, Field(ge=0)] | None = Field(
        None, description="documents kept in reserve behind each shortlist against retractions; none: a third of max_k"
    )
    kde_k: int = Field(1000, ge=1, description="index = hnsw: the most neighbours that one density may use")
    scope: Scope = Field(
        "candidates", description="density over the shortlisted documents, or over the whole corpus within capacity"
    )
    index: IndexKind = Field("auto", description="auto: exact up to exact_limit points, hnsw beyond")
    exact_limit: int = Field(1_000_000, ge=1, description="index = auto: indexed points beyond which hnsw takes over")
    mode: Mode = Field(
        "turns",
        description="turns: targets take turns at their nearest document that is left; coordinated: drawn with the "
        "probabilities of the plan, with weights that make up for it; top: the largest probabilities; multinomial: "
        "drawn with replacement",
    )
    min_distance: Literal["auto", "sigma"] | Annotated[float, Field(gt=0, le=2)] | None = Field(
        "auto",
        description="leave out what lies nearer than this to a selected document; sigma: the kernel width; auto: sigma "
        "with mode = turns, none with the others, so that inclusion probabilities stay exact",
    )
    token_budget: Annotated[int, Field(ge=1)] | None = Field(None, description="tokens to select; first reached ends")
    ttl: Annotated[Milliseconds, Field(ge=1)] | None = Field(
        None, description="milliseconds of event time after which a document expires; needs scope = corpus or refill"
    )
    refill: Literal["none", "auto"] = Field(
        "none", description="auto: short rows are refilled by re-reading the source in the background"
    )
    capacity: Annotated[int, Field(ge=1)] | None = Field(
        None, description="scope = corpus: the most points kept; the oldest non-candidates leave (never exact)"
    )
    max_ids: int = Field(2_000_000, ge=1, description="ids held at most; beyond, copies are counted and not named")
    seed: int = Field(0, ge=-(2**63), lt=2**63, description="seed of what is drawn: mode = coordinated or multinomial")

    @property
    def keeps_sigma_apart(self) -> bool:
        """Whether selected documents are at least sigma apart."""
        if self.min_distance == "auto":
            return self.mode == "turns"
        return self.min_distance == "sigma" and self.mode != "multinomial"

    @property
    def uses_sigma(self) -> bool:
        """Whether a selection, or what is published with it, depends on the kernel width."""
        return self.regularizer == "kde" or self.keeps_sigma_apart

    def spacing(self, sigma: float | None) -> float | None:
        """`min_distance` as a number; None where selected documents need not be apart (sigma = 0 included)."""
        if isinstance(self.min_distance, float):
            return self.min_distance
        return (sigma or None) if self.keeps_sigma_apart else None

    @model_validator(mode="after")
    def _consistent(self) -> SelectorConfig:
        problems = []
        if self.budget is None and self.token_budget is None:
            problems.append("give budget or token_budget (or both)")
        if self.regularizer == "tv" and self.alpha == "auto":
            problems.append('regularizer = "tv" needs a numeric alpha')
        if self.alpha != "auto" and not 0 < self.distance_scale * (1 - self.alpha) / self.alpha < _FAR_TOO_MUCH:
            problems.append(f"distance_scale (1 - alpha)/alpha is 0 or too large with alpha = {self.alpha}")
        if not 0 < self.spread * max(self.budget or 1, self.token_budget or 1) < _FAR_TOO_MUCH:
            problems.append(f"spread x budget is too large with spread = {self.spread}")
        if isinstance(self.sigma, float) and 0 < self.sigma < MIN_SIGMA:
            problems.append(f"sigma must be 0 or at least 2^-20, not {self.sigma}")
        if self.scope == "corpus" and self.capacity is None and self.ttl is None:
            problems.append('scope = "corpus" needs capacity or ttl: the corpus must stay bounded')
        if self.scope == "candidates" and self.capacity is not None:
            problems.append('capacity needs scope = "corpus"')
        if self.ttl is not None and self.scope != "corpus" and self.refill != "auto":
            problems.append('ttl needs scope = "corpus" or refill = "auto": shortlists drain as documents expire')
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def shortlist_length(self, targets: int) -> int:
        """`max_k` as a number, for a set created with so many targets (auto: max(256, ceil(8·spread·budget/M)))."""
        if self.max_k != "auto":
            return self.max_k
        documents = [self.budget] if self.budget is not None else []
        if self.token_budget is not None:
            documents.append(ceil(self.token_budget / ASSUMED_TOKENS_PER_DOCUMENT))
        return max(256, ceil(8 * self.spread * min(documents) / max(targets, 1)))

    def reserve_length(self, max_k: int) -> int:
        """`slack` as a number."""
        return max_k // 3 if self.slack is None else self.slack
