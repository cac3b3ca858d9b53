"""The alarm: quiet while a stream is as it was, from its first document on; loud when the topic changes."""

from __future__ import annotations

from math import log

import numpy as np
import pytest

from tests.monitoring.selection_watch.cases import Story
from tsds_stream import SelectorConfig
from tsds_stream.monitoring.selection_watch import SelectionWatch
from tsds_stream.monitoring.selection_watch.mass import Mass
from tsds_stream.monitoring.selection_watch.pace import FEWEST, LONG, PER_DOUBLING, Pace, student_quantile

RATE = 0.05
SEEDS = 50
DIMENSION = 12
USUAL = [0, 1, 2, 3, 4, 5, 6, 7]  # topics of the documents
WANTED = [0, 1, 8]  # of the targets; nothing is said about 8 until the topic changes


class Stream:
    """Documents of some topics in random order, published every percent of growth."""

    def __init__(self, seed: int, **settings: object) -> None:
        self.rng = np.random.default_rng(seed)
        self.centres = self.rng.normal(size=(9, DIMENSION))
        config = SelectorConfig(**{"budget": 100, "calibration": 300, "max_k": 128, **settings})
        self.story = Story(self.vectors(16, WANTED), config, watch=SelectionWatch(RATE))
        self.seen = 0
        self.ready_at: int | None = None
        self.alarms: list[int] = []  # where the score has risen above 1

    def vectors(self, n: int, topics: list[int]) -> np.ndarray:
        noise = 0.7 * self.rng.normal(size=(n, DIMENSION))
        return (self.centres[self.rng.choice(topics, n)] + noise).astype(np.float32)

    def read(self, until: int, new: float = 0.0, retracted: float = 0.0) -> None:
        """Documents up to number `until`, a share of them of the new topic, some older ones retracted meanwhile."""
        above = False
        ttl = self.story.one.config.ttl is not None
        while self.seen < until:
            n = max(60, self.seen // 32)
            vectors = self.vectors(n, USUAL)
            fresh = self.rng.random(n) < new
            vectors[fresh] = self.vectors(int(fresh.sum()), [8])
            names = [f"d{self.seen + k}" for k in range(n)]
            self.story.add(names, vectors, timestamps=[self.seen + k for k in range(n)] if ttl else None)
            self.seen += n
            if retracted:
                self.story.remove([f"d{k}" for k in self.rng.choice(self.seen, int(n * retracted), replace=False)])
            self.story.publish()
            score = self.story.document()["selection_drift"]["score"]
            if score is not None:
                self.ready_at = self.ready_at or self.seen
                if score > 1 and not above:
                    self.alarms.append(self.seen)
                above = score > 1


@pytest.mark.slow
def test_an_unchanged_stream_raises_no_more_alarms_than_configured():
    alarms, doublings = 0, 0.0
    for seed in range(SEEDS):
        stream = Stream(seed)
        stream.read(5000)
        assert stream.ready_at is not None
        alarms += len(stream.alarms)
        doublings += log(stream.seen / stream.ready_at) / log(2)
    assert doublings > SEEDS
    assert alarms <= RATE * doublings


@pytest.mark.parametrize("settings", [{"ttl": 1500, "refill": "auto"}, {"mode": "turns"}, {"budget": 400}])
def test_expiry_another_mode_and_a_long_filling_phase_are_no_alarm(settings):
    for seed in range(4):
        stream = Stream(seed, **settings)
        stream.read(5000)
        assert stream.alarms == []
        if "ttl" in settings:
            assert stream.story.watch.pace.live == pytest.approx(1500, rel=0.25)


def test_steady_retractions_are_no_alarm():
    for seed in range(4):
        stream = Stream(seed)
        stream.read(4000, retracted=0.3)
        assert stream.ready_at is not None
        assert stream.alarms == []


@pytest.mark.parametrize(("share", "within", "least"), [(1.0, 300, 8), (0.1, 1300, 6)])
def test_a_change_of_topic_is_an_alarm(share, within, least):
    found = 0
    for seed in range(8):
        stream = Stream(seed, budget=200)
        stream.read(4000)
        assert stream.alarms == []
        changed = stream.seen
        stream.read(changed + within, new=share)
        found += bool(stream.alarms)
        document = stream.story.document()["selection_drift"]
        assert document["ready"]
        assert document["score"] == pytest.approx(document["statistic"] / document["threshold"])
    assert found >= least


def test_a_new_topic_that_lasts_ends_the_alarm():
    stream = Stream(3)
    stream.read(3000)
    stream.read(14_000, new=1.0)
    assert stream.alarms
    assert stream.story.document()["selection_drift"]["score"] < 1


def test_mass_retraction_of_members_is_an_alarm():
    stream = Stream(1)
    stream.read(4000)
    stream.story.remove(stream.story.notice.revision.ids[::2])
    stream.story.publish()
    assert stream.story.document()["selection_drift"]["score"] > 1


def test_what_the_operator_does_is_no_alarm():
    stream = Stream(2)
    stream.read(4000)
    story, learnt = stream.story, len(stream.story.watch.pace.windows)
    story.selector.remove_targets(story.selector.target_ids[:8])
    assert story.publish().retargeted
    assert story.document()["selection_drift"]["score"] is None  # a new window begins
    assert len(story.watch.pace.windows) == learnt
    story.restart(SelectorConfig(**{**story.one.config.model_dump(), "budget": 50}), story.watch)
    assert story.publish().reconfigured
    assert story.document()["selection_drift"] == pytest.approx(
        {
            "statistic": None,
            "threshold": None,
            "score": None,
            "over": None,
            "ready": False,
            "windows": 0,
            "needed": FEWEST + LONG,
            "live_documents": stream.seen,
        }
    )


def test_there_is_no_alarm_before_there_is_evidence():
    stream = Stream(4)
    stream.read(700)
    stream.read(1000, new=1.0)  # whatever happens
    assert stream.ready_at is None
    drift = stream.story.document()["selection_drift"]
    assert (drift["score"], drift["threshold"], drift["ready"]) == (None, None, False)
    assert drift["needed"] > 0


# -- the arithmetic --------------------------------------------------------------------------------------------------


def moving(k: int) -> Mass:
    """A hundred points, k of which are new since `moving(0)`."""
    return Mass(np.arange(k, k + 100, dtype=np.uint64), np.full(100, 0.01), np.empty(0, np.uint64))


def windows(pace: Pace, count: int, replaced: int) -> None:
    """Windows of fifty documents among a thousand, so many points being replaced in each."""
    for _ in range(count):
        assert pace.start is not None
        pace.arrived(pace.seen + 50, 0, 100)
        pace.live = 1000.0
        pace.look(moving(int(pace.start.words[0]) + replaced), 100.0)


def test_the_pace_is_the_change_over_the_share_of_newcomers():
    pace = Pace(0.01)
    pace.arrived(950, 0, 100)
    pace.restart(moving(0), forget=True)
    windows(pace, FEWEST + LONG - 1, 5)
    assert pace.judged() == []
    windows(pace, 1, 5)
    assert [one.pace for one in pace.windows] == pytest.approx([(0.05 + 0.01) / 0.05] * (FEWEST + LONG))
    thresholds = {one.windows: one.threshold for one in pace.judged()}
    # Five of a hundred documents vary by chance, however regular these windows were.
    assert thresholds[1] > 2 * 1.2
    assert thresholds[1] > thresholds[LONG] > 1.2
    windows(pace, 1, 40)
    assert pace.windows[-1].alarm
    for k in range(round(PER_DOUBLING)):
        assert len(pace.usual) == FEWEST + min(k + 1, LONG)  # an alarm is not learnt from
        windows(pace, 1, 40)
    windows(pace, 2, 40)
    assert len(pace.usual) > FEWEST + LONG  # until it is the rule


def test_what_is_small_and_lasts_is_an_alarm_over_four_windows():
    pace = Pace(0.01)
    pace.arrived(950, 0, 100)
    pace.restart(moving(0), forget=True)
    windows(pace, 20, 5)
    windows(pace, LONG, 12)
    worst = pace.judged()[0]
    assert worst.windows == LONG
    assert worst.score > 1
    assert worst.statistic == pytest.approx(13 / 5)
    assert pace.document()["over"] == LONG


def test_windows_that_are_too_long_are_not_learnt_from():
    pace = Pace(0.01)
    pace.arrived(1000, 0, 100)
    pace.restart(moving(0), forget=True)
    pace.arrived(1500, 0, 100)
    pace.look(moving(30), 100.0)
    assert pace.windows == []
    assert pace.last == pytest.approx(0.31 / (500 / 1500))


def test_a_stream_that_is_begun_anew_has_another_pace():
    pace = Pace(0.01)
    pace.arrived(950, 0, 100)
    pace.restart(moving(0), forget=True)
    windows(pace, FEWEST + LONG, 5)
    pace.arrived(60, 0, 10)
    assert (pace.live, pace.windows, pace.start, pace.document()["score"]) == (60, [], None, None)


def test_members_that_depart_stand_for_all_documents():
    pace = Pace(0.01)
    pace.arrived(10_000, 0, 100)
    pace.arrived(10_000, 10, 100)
    assert pace.live == 9_000


@pytest.mark.parametrize("freedom", [11, 20, 39])
@pytest.mark.parametrize("level", [0.9, 0.99, 0.9999])
def test_the_quantile_is_that_of_student(freedom, level):
    scipy = pytest.importorskip("scipy.stats")
    assert student_quantile(level, freedom) == pytest.approx(scipy.t.ppf(level, freedom), rel=5e-3)
