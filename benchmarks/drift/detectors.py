"""Our signals and those of river, told the same documents one after the other."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from river.drift import ADWIN, PageHinkley

from benchmarks.drift.text import Text
from tsds_stream.monitoring.stream_drift import DriftOptions, Reference, StreamDrift
from tsds_stream.selection.arithmetic import Float64, Int64

RIVER = {
    "ADWIN, delta 0.002 (its default)": lambda: ADWIN(),
    "ADWIN, delta 0.000001": lambda: ADWIN(delta=1e-6),
    "Page-Hinkley (its defaults)": lambda: PageHinkley(),
}


@dataclass
class Found:
    """Alarms along one stream.

    Attributes:
        ours: by signal and window, the documents read when it alarmed (at every look).
        score: the highest of all signals, at every look; looks: the documents read then.
        river: by detector, the documents read at each alarm.
    """

    ours: dict[str, list[int]] = field(default_factory=dict)
    looks: list[int] = field(default_factory=list)
    score: list[float] = field(default_factory=list)
    river: dict[str, list[int]] = field(default_factory=dict)

    def first(self, detector: str, since: int) -> int | None:
        """Documents from `since` to the first alarm; "ours" is any of our signals."""
        if detector in self.river:
            times = self.river[detector]
        elif detector == "ours":
            times = [time for signal in self.ours.values() for time in signal]
        else:
            times = self.ours.get(detector, [])
        return min((time - since for time in times if time > since), default=None)


def watch(text: Text, documents: Int64, options: DriftOptions) -> Found:
    """Both, on the same documents."""
    found = Found()
    reference = Reference(text.targets, text.groups)
    drift = StreamDrift(options, text.vectors.shape[1], {"target": reference})
    for start in range(0, len(documents), options.step):
        part = documents[start : start + options.step]
        drift.add(text.vectors[part], text.lengths[part], now_ms=0)
        ready = [entry for entry in drift.document()["signals"] if entry["ready"]]
        for entry in ready:
            if entry["score"] >= 1:
                found.ours.setdefault(f"{entry['signal']}, {entry['window']}", []).append(start + len(part))
        if ready:
            found.looks.append(start + len(part))
            found.score.append(round(max(entry["score"] for entry in ready), 3))
    columns = _columns(text, documents, reference, options)
    for name, make in RIVER.items():
        found.river[name] = sorted(time for column in columns for time in _alarms(make(), column))
    return found


def _columns(text: Text, documents: Int64, reference: Reference, options: DriftOptions) -> list[Float64]:
    """What a detector of numbers can be told of documents, standardised on warm-up and baseline: the distance to the
    nearest target, the length, and the nearness to the mean embedding."""
    learned = options.warmup + options.baseline
    vectors = text.vectors[documents]
    mean = vectors[:learned].mean(0)
    columns = [reference.nearest(vectors)[0], text.lengths[documents].astype(np.float64), vectors @ mean]
    return [(column - column[:learned].mean()) / column[:learned].std() for column in columns]


def _alarms(detector: ADWIN | PageHinkley, column: Float64) -> list[int]:
    alarms = []
    for number, value in enumerate(column.tolist(), 1):
        detector.update(value)
        if detector.drift_detected:
            alarms.append(number)
    return alarms
