"""What is compared, over how many documents, and how often a false alarm is acceptable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

HORIZON: Final = 10  # long windows over which the false alarm rate holds
_STEPS: Final = 10  # in the short window
_FEWEST_CHUNKS: Final = 50  # of the baseline: what the thresholds are estimated from


@dataclass(frozen=True)
class DriftOptions:
    """Sizes are documents that are looked at.

    Attributes:
        warmup: left out at the start.
        baseline: frozen after the warm-up; then the comparison begins.
        short_window, long_window: the last documents, compared with the baseline. The first notices sudden changes,
            the second small ones.
        false_alarm_rate: the probability that any signal of any window raises an alarm within the next
            10 long windows of documents of a stream that does not change.
        seed: of the random features and of the resampling.
    """

    warmup: int = 1000
    baseline: int = 5000
    short_window: int = 500
    long_window: int = 5000
    false_alarm_rate: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        problems = []
        if self.warmup < 0:
            problems.append(f"warmup is {self.warmup} and must not be negative")
        if self.baseline < _FEWEST_CHUNKS:
            problems.append(f"baseline is {self.baseline} and must be at least {_FEWEST_CHUNKS}")
        if not 1 <= self.short_window <= self.long_window:
            problems.append(f"windows are {self.short_window} and {self.long_window}: give 1 <= short <= long")
        if not 0 < self.false_alarm_rate < 1:
            problems.append(f"false_alarm_rate is {self.false_alarm_rate} and must be between 0 and 1")
        if problems:
            raise ValueError("; ".join(problems))

    @property
    def step(self) -> int:
        """Documents of a chunk: the windows move on by whole chunks."""
        return max(1, min(self.short_window // _STEPS, self.baseline // _FEWEST_CHUNKS))

    @property
    def windows(self) -> dict[str, int]:
        """Chunks of each window."""
        return {"short": self.short_window // self.step, "long": self.long_window // self.step}

    @property
    def baseline_documents(self) -> int:
        """Whole chunks of documents."""
        return self.baseline // self.step * self.step

    @property
    def horizon(self) -> int:
        """Chunks over which the false alarm rate holds."""
        return HORIZON * self.windows["long"]
