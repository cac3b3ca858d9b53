"""Whether the stream is changing: warm-up, baseline, and then the comparison of two rolling windows with it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tsds_stream.monitoring.stream_drift.baseline import Baseline
from tsds_stream.monitoring.stream_drift.calibration import Aim, block_length, thresholds
from tsds_stream.monitoring.stream_drift.options import DriftOptions
from tsds_stream.monitoring.stream_drift.reference import Reference
from tsds_stream.monitoring.stream_drift.signals import (
    SET_SIGNALS,
    STREAM_SIGNALS,
    WINDOWS,
    Looked,
    Signal,
    blank,
    set_signals,
    stream_signals,
)
from tsds_stream.records import Json
from tsds_stream.selection.arithmetic import Float32, Int64
from tsds_stream.selection.blas import one_blas_thread


class StreamDrift:
    """Compares the last documents of a stream with a frozen baseline.

    Windows move on by chunks of `options.step` documents, so nothing depends on how documents were cut into calls of
    `add`. Memory: the baseline, and per window and signal one sum for each chunk.

    Args:
        options: sizes and the false alarm rate.
        dimension: d of the vectors.
        references: the targets of each set.
        baseline: of another run; then neither warm-up nor baseline are taken from this stream.
    """

    def __init__(
        self,
        options: DriftOptions,
        dimension: int,
        references: Mapping[str, Reference],
        baseline: Baseline | None = None,
    ) -> None:
        self.options = options
        self.dimension = dimension
        self.references = dict(references)
        self.looked_at = 0
        self.source = "stream" if baseline is None else "file"
        self.pending = np.empty((0, dimension), np.float32), np.empty(0, np.int64)
        self.began = self.ended = 0
        self.signals: list[Signal] = []
        self._baseline = np.empty((0, dimension), np.float32), np.empty(0, np.int64)
        self._filled = 0
        if baseline is not None:
            self._use(baseline)

    @property
    def state(self) -> str:
        """ "warming", "baseline" or "watching"."""
        if self.signals:
            return "watching"
        return "warming" if self.looked_at < self.options.warmup else "baseline"

    @property
    def baseline(self) -> Baseline:
        """The documents of the baseline so far."""
        vectors, lengths = self._baseline
        return Baseline(vectors[: self._filled], lengths[: self._filled], self.began, self.ended)

    def add(self, vectors: Float32, lengths: Int64, now_ms: int) -> None:
        """Look at documents, in the order of the stream.

        The call that completes the baseline also finds the thresholds, which takes some seconds.

        Args:
            vectors: (n, d) float32 rows of unit length.
            lengths: (n,) int64 characters.
            now_ms: milliseconds since the epoch.
        """
        if vectors.shape != (len(lengths), self.dimension):
            raise ValueError(f"{len(lengths)} lengths and vectors of shape {vectors.shape} do not match")
        with one_blas_thread():
            self._add(vectors, lengths, now_ms)

    def _add(self, vectors: Float32, lengths: Int64, now_ms: int) -> None:
        used = 0
        if not self.signals:
            used = min(len(vectors), max(0, self.options.warmup - self.looked_at))
            used += self._extend_baseline(vectors[used:], lengths[used:], now_ms)
        self.looked_at += len(vectors)
        step = self.options.step
        rows = np.concatenate([self.pending[0], vectors[used:]])
        sizes = np.concatenate([self.pending[1], lengths[used:]])
        whole = len(rows) // step * step if self.signals else 0
        for start in range(0, whole, step):
            documents = self._look(rows[start : start + step], sizes[start : start + step])
            for signal in self.signals:
                signal.add(documents)
        self.pending = rows[whole:].copy(), sizes[whole:].copy()

    def replace(self, name: str, reference: Reference, now_ms: int) -> None:
        """The targets of a set have changed: its signals are measured anew on the same baseline documents.

        Their windows start empty. The windows of the stream and of other sets go on.
        """
        known = name in self.references
        self.references[name] = reference
        if not self.signals:
            return
        documents = self._look(*self._baseline, only=name)
        fresh = set_signals(name, reference, documents, self.options)
        self.signals = sorted(
            [signal for signal in self.signals if signal.set != name] + fresh, key=lambda signal: signal.set
        )
        self._calibrate(fresh if known else self.signals)

    def resume(self, baseline: Baseline, looked_at: int, source: str) -> None:
        """Go on with a baseline, which may not be complete yet, after so many documents; the windows are empty."""
        self.looked_at, self.source = looked_at, source
        size = self.options.baseline_documents
        if source == "file" or len(baseline) == size:
            self._use(baseline)
        elif len(baseline):
            self._extend_baseline(baseline.vectors, baseline.lengths, baseline.began)
            self.ended = baseline.ended

    def document(self) -> Json:
        """The part "drift" of the status document."""
        options = self.options
        needed = 0 if self.signals else options.warmup + options.baseline_documents - self.looked_at
        return {
            "state": self.state,
            "looked_at": self.looked_at,
            "needed": needed,
            "baseline": {
                "documents": self._filled,
                "began": self.began,
                "ended": self.ended,
                "source": self.source,
            },
            "false_alarm_rate": options.false_alarm_rate,
            "signals": self._entries(),
            "groups": {name: self._groups(name) for name in self.references},
        }

    def alarms(self) -> list[Json]:
        """The entries of `document()["signals"]` that are ready and have a score of 1 or more."""
        return [entry for entry in self._entries() if entry["ready"] and entry["score"] >= 1]

    def _entries(self) -> list[Json]:
        if self.signals:
            return [signal.as_json(window) for signal in self.signals for window in WINDOWS]
        names = [(name, "") for name in STREAM_SIGNALS]
        names += [(name, of) for of in sorted(self.references) for name in SET_SIGNALS]
        return [blank(name, of, window) for name, of in names for window in WINDOWS]

    def _groups(self, name: str) -> Json:
        found = [signal for signal in self.signals if signal.name == "groups" and signal.set == name]
        shares: Json = {"baseline": None, "short": None, "long": None}
        for signal in found:
            shares["baseline"] = signal.centre.tolist()
            for window in WINDOWS:
                shares[window] = signal.windows.mean(window).tolist() if signal.windows.full(window) else None
        return {"labels": self.references[name].labels, **shares}

    def _extend_baseline(self, vectors: Float32, lengths: Int64, now_ms: int) -> int:
        """Returns how many of the documents were taken."""
        if not len(vectors):
            return 0
        size = self.options.baseline_documents
        if not len(self._baseline[0]):
            self._baseline = np.empty((size, self.dimension), np.float32), np.empty(size, np.int64)
            self.began = now_ms
        taken = min(len(vectors), size - self._filled)
        part = slice(self._filled, self._filled + taken)
        self._baseline[0][part], self._baseline[1][part] = vectors[:taken], lengths[:taken]
        self._filled += taken
        self.ended = now_ms
        if self._filled == size:
            self._watch()
        return taken

    def _use(self, baseline: Baseline) -> None:
        whole = len(baseline) // self.options.step * self.options.step
        self._baseline = baseline.vectors[:whole], baseline.lengths[:whole]
        self._filled, self.began, self.ended = whole, baseline.began, baseline.ended
        self._watch()

    def _watch(self) -> None:
        documents = self._look(*self._baseline)
        self.signals = stream_signals(documents, self.options)
        for name in sorted(self.references):
            self.signals += set_signals(name, self.references[name], documents, self.options)
        self._calibrate(self.signals)

    def _calibrate(self, signals: list[Signal]) -> None:
        """Find thresholds. The false alarm rate is shared among all signals and windows."""
        options = self.options
        shared = len(self.signals) * len(WINDOWS)
        probability = 1.0 - (1.0 - options.false_alarm_rate) ** (1.0 / shared)
        aim = Aim(options.windows, options.horizon, probability, options.seed)
        block = block_length(next(signal for signal in self.signals if signal.name == "mean").chunks)
        for signal in signals:
            found = thresholds(signal.chunks, signal.measure, aim, block)
            signal.thresholds = {name: float(max(found[name], self._least(signal, name))) for name in WINDOWS}

    def _least(self, signal: Signal, window: str) -> float:
        """What a few documents of a kind that the baseline has never seen amount to.

        After n documents without any, the share p of a kind is still above -ln(rate) / n with this probability.
        """
        size = self.options.windows[window] * self.options.step
        share = -np.log(self.options.false_alarm_rate) * (1.0 / self._filled + 1.0 / size)
        return signal.measure.of_novelty(min(1.0, float(share)))

    def _look(self, vectors: Float32, lengths: Int64, only: str | None = None) -> Looked:
        names = self.references if only is None else [only]
        nearest = {name: self.references[name].nearest(vectors) for name in names}
        return Looked(vectors, lengths.astype(np.float64), nearest)
