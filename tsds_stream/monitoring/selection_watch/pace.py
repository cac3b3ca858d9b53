"""Does the selection change faster than it used to?

In an unchanged stream every document is as likely to be selected as any other, whenever it came. So while the number of
live documents grows to N by n arrivals, newcomers take n/N of the probability, whatever N is: the total variation
between the two moments, divided by n/N, has the same distribution early and late. That ratio is the *pace*. It is about
1, a little more where arrivals also move the probabilities of others, several times more when arrivals suit the
target better than what came before, or when members leave in masses.

A window lasts until the live documents have grown by a twentieth. While the selection is being filled (fewer live
documents than twice those with mass) and while sigma is provisional there are no windows. The threshold is the
prediction bound of Student's t for the square root of the pace of one more window, from those before it, at the share
of windows that the configured rate of false alarms leaves. The mean of the last four windows is judged in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import log, sqrt
from statistics import NormalDist, fmean, variance
from typing import Final, NamedTuple

from tsds_stream.monitoring.selection_watch.mass import Mass, total_variation
from tsds_stream.records import Json

WINDOW: Final = 0.05  # growth of the live documents in one window
LONGEST: Final = 0.10  # growth up to which a window is like the others: beyond, publications are too far apart
CHOICE: Final = 2.0  # live documents per document with mass; with fewer the selection is being filled
FEWEST: Final = 12  # windows before there is a threshold
MOST: Final = 40  # windows that thresholds are taken from
LONG: Final = 4  # windows whose mean is judged, too: it notices what is small and lasts
PER_DOUBLING: Final = log(2.0) / log(1.0 + WINDOW)  # windows while the live documents double
_JUDGEMENTS: Final = 2


@dataclass(frozen=True, slots=True)
class Window:
    """One that is over."""

    pace: float
    changes: float  # total variation · effective sample size: documents' worth of change
    alarm: bool


class Judgement(NamedTuple):
    """A pace, what it is measured by, and over how many windows it was taken."""

    statistic: float
    threshold: float
    windows: int

    @property
    def score(self) -> float:
        """1 is the alarm line."""
        return self.statistic / self.threshold


@dataclass(slots=True)
class Pace:
    """The pace of one selection, window by window.

    Attributes:
        rate: expected false alarms while the live documents of an unchanged stream double.
        live: estimated number of live documents: what was seen, less what is gone. Members are told to have gone, or to
            have come again; the same share of all documents is taken to have.
        start: mass at the beginning of the window; grown: documents that have arrived since then.
        pace, last: of the window so far and of the one before; None: there is none.
        lasting: mean of the last four.
    """

    rate: float
    live: float = 0.0
    seen: int = 0
    start: Mass | None = None
    grown: int = 0
    pace: float | None = None
    last: float | None = None
    lasting: float | None = None
    windows: list[Window] = field(default_factory=list)

    def arrived(self, seen: int, departures: int, members: int) -> None:
        """The stream stands at `seen` documents, and so many members have departed, out of `members`."""
        if seen < self.seen:  # the stream was begun anew
            self.live, self.seen, self.grown, self.windows = 0.0, 0, 0, []
            self.start = self.pace = self.last = self.lasting = None
        new = seen - self.seen
        self.live = max(self.live + new - departures * self.live / max(members, 1), float(members))
        self.grown += new
        self.seen = seen

    def restart(self, mass: Mass, *, forget: bool) -> None:
        """Something that the operator did, or an unsettled sigma, has moved the selection: begin a window after it.

        Args:
            forget: the pace from now on is not to be compared with the one before.
        """
        self.start, self.grown, self.pace, self.last, self.lasting = mass.thinned(), 0, None, None, None
        if forget:
            self.windows.clear()

    def look(self, mass: Mass, effective_sample_size: float) -> None:
        """The mass of a new revision."""
        moved = None if self.start is None else total_variation(self.start, mass)
        if moved is None or self.live < CHOICE * len(mass.words):
            self.restart(mass, forget=False)
            return
        growth = self.grown / self.live
        one = 1.0 / max(effective_sample_size, 1.0)  # a document's worth: no pace is 0
        self.pace = (moved + one) / max(growth, WINDOW)
        if growth < WINDOW:
            return
        whole = self.pace
        self.start, self.grown, self.pace, self.last = mass.thinned(), 0, None, whole
        if growth <= LONGEST:
            self.windows.append(Window(whole, moved * effective_sample_size, False))
            self.lasting = fmean(one.pace for one in self.windows[-LONG:])
            if any(one.score > 1.0 for one in self.judged()):
                self.windows[-1] = replace(self.windows[-1], alarm=True)
            del self.windows[: -(MOST + LONG + round(PER_DOUBLING))]

    @property
    def usual(self) -> list[Window]:
        """The windows that thresholds are taken from: not the last ones, which are judged by them, and none with an
        alarm, until a doubling later they are the rule.
        """
        old = len(self.windows) - round(PER_DOUBLING)
        return [one for k, one in enumerate(self.windows[:-LONG]) if not one.alarm or k < old][-MOST:]

    def judged(self) -> list[Judgement]:
        """The larger pace of this window and the one before, and the mean of the last four; the worst first."""
        usual, found = self.usual, []
        paces = [pace for pace in (self.pace, self.last) if pace is not None]
        if len(usual) < FEWEST or not paces:
            return []
        found.append(Judgement(max(paces), threshold(usual, 1, self.rate), 1))
        if self.lasting is not None:
            found.append(Judgement(self.lasting, threshold(usual, LONG, self.rate), LONG))
        return sorted(found, key=lambda one: -one.score)

    def document(self) -> Json:
        """The worse of the two judgements."""
        judged = self.judged()
        worst = judged[0] if judged else None
        count = len(self.usual)
        return {
            "statistic": None if worst is None else worst.statistic,
            "threshold": None if worst is None else worst.threshold,
            "score": None if worst is None else worst.score,
            "over": None if worst is None else worst.windows,
            "ready": worst is not None,
            "windows": count,
            "needed": max(FEWEST - count, FEWEST + LONG - len(self.windows), 0),
            "live_documents": round(self.live),
        }


def threshold(usual: Sequence[Window], windows: int, rate: float) -> float:
    """What the mean pace of so many windows of an unchanged stream hardly ever exceeds, given what is usual."""
    roots = [sqrt(one.pace) for one in usual]  # of counts, roots vary alike whatever their mean
    # So many changes vary at least by this, if they are independent, whatever a few windows have shown.
    least = fmean(one.pace for one in usual) / (4.0 * (1.0 + fmean(one.changes for one in usual)))
    spread = sqrt(max(variance(roots), least) * (1.0 / windows + 1.0 / len(usual)))
    quantile = student_quantile(1.0 - rate / (_JUDGEMENTS * PER_DOUBLING), len(usual) - 1)
    return (fmean(roots) + quantile * spread) ** 2


def student_quantile(level: float, freedom: int) -> float:
    """Quantile of Student's t by the expansion of Fisher and Cornish (Abramowitz and Stegun 26.7.5); freedom ≥ 8."""
    z, v = NormalDist().inv_cdf(level), float(freedom)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / v**k for k, term in enumerate(terms, 1))
