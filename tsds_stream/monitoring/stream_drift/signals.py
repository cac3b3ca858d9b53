"""The signals of drift: what is looked at in a document, and how distributions of it are compared.

| signal | of a document | measure |
|---|---|---|
| distance | to the nearest target of a set, as a rank among the baseline's | Wasserstein |
| groups | the group of that target | Jensen-Shannon |
| length | characters | population stability index |
| embedding | random Fourier features of its vector | maximum mean discrepancy |
| mean | its vector, in units of the spread of documents | distance of the means |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from tsds_stream.monitoring.stream_drift.features import (
    Bins,
    Fourier,
    Ranks,
    Shares,
    Standardised,
    chunk_means,
    on_grid,
)
from tsds_stream.monitoring.stream_drift.measures import (
    JENSEN_SHANNON,
    MEAN_DISTANCE,
    MMD,
    PSI,
    WASSERSTEIN,
    Measure,
)
from tsds_stream.monitoring.stream_drift.options import DriftOptions
from tsds_stream.monitoring.stream_drift.reference import Reference
from tsds_stream.monitoring.stream_drift.rolling import RollingSums
from tsds_stream.records import Json
from tsds_stream.selection.arithmetic import Float32, Float64, Int64

WINDOWS = ("short", "long")
STREAM_SIGNALS = ("length", "embedding", "mean")
SET_SIGNALS = ("distance", "groups")
MEASURES = {"distance": WASSERSTEIN, "groups": JENSEN_SHANNON, "length": PSI, "embedding": MMD, "mean": MEAN_DISTANCE}


class Looked(NamedTuple):
    """What is looked at in n documents: vectors (n, d), lengths (n,); per set: distances and groups (n,)."""

    vectors: Float32
    lengths: Float64
    nearest: dict[str, tuple[Float64, Int64]]

    def part(self, numbers: Int64) -> Looked:
        """Some of the documents."""
        nearest = {name: (distances[numbers], groups[numbers]) for name, (distances, groups) in self.nearest.items()}
        return Looked(self.vectors[numbers], self.lengths[numbers], nearest)


@dataclass
class Signal:
    """One signal: its baseline, its windows and their thresholds.

    Attributes:
        name, set: as in the status document; set is "" where it is of the stream.
        features: of documents, (n, F).
        centre: (F,) mean over the baseline.
        chunks: (k, F) means of the chunks of the baseline, as chunks that come later would look.
    """

    name: str
    set: str
    features: Callable[[Looked], Float64]
    centre: Float64
    chunks: Float64
    windows: RollingSums
    thresholds: dict[str, float] = field(default_factory=dict)

    @property
    def measure(self) -> Measure:
        return MEASURES[self.name]

    def add(self, documents: Looked) -> None:
        """Take in one chunk."""
        self.windows.add(on_grid(self.features(documents)).sum(0))

    def statistic(self, window: str) -> float | None:
        """How far the window is from the baseline; None before it is full."""
        if not self.windows.full(window):
            return None
        return float(self.measure.function(self.windows.mean(window), self.centre))

    def as_json(self, window: str) -> Json:
        """An entry of "signals" in the status document."""
        statistic, threshold = self.statistic(window), self.thresholds[window]
        return {
            **blank(self.name, self.set, window),
            "statistic": statistic,
            "threshold": threshold,
            "score": None if statistic is None else statistic / threshold,
            "documents": self.windows.documents(window),
            "ready": statistic is not None,
        }


def blank(name: str, of: str, window: str) -> Json:
    """The entry of a signal that has no baseline yet."""
    return {
        "signal": name,
        "set": of,
        "window": window,
        "measure": MEASURES[name].name,
        "statistic": None,
        "threshold": None,
        "score": None,
        "documents": 0,
        "ready": False,
    }


def stream_signals(baseline: Looked, options: DriftOptions) -> list[Signal]:
    """The signals that need no targets."""
    fourier, bins = Fourier(baseline.vectors, options.seed), Bins(baseline.lengths)
    standardised = Standardised(baseline.vectors, options.step, options.seed)
    return [
        _signal("length", "", lambda documents: bins(documents.lengths), baseline, options),
        _signal("embedding", "", lambda documents: fourier(documents.vectors), baseline, options),
        _signal(
            "mean", "", lambda documents: standardised(documents.vectors), baseline, options, standardised.unseen()
        ),
    ]


def set_signals(name: str, reference: Reference, baseline: Looked, options: DriftOptions) -> list[Signal]:
    """The signals of one target set."""
    ranks, shares = Ranks(baseline.nearest[name][0]), Shares(len(reference.labels))
    return [
        _signal("distance", name, lambda documents: ranks(documents.nearest[name][0]), baseline, options),
        _signal("groups", name, lambda documents: shares(documents.nearest[name][1]), baseline, options),
    ]


def _signal(
    name: str,
    of: str,
    features: Callable[[Looked], Float64],
    baseline: Looked,
    options: DriftOptions,
    unseen: Float64 | None = None,
) -> Signal:
    numbers = np.arange(len(baseline.vectors))
    chunks = chunk_means(lambda part: on_grid(features(baseline.part(part))), numbers, options.step)
    centre: Float64 = chunks.mean(0)
    windows = RollingSums(len(centre), options.step, options.windows)
    return Signal(name, of, features, centre, chunks if unseen is None else unseen, windows)
