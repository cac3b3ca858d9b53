"""After any history, what the watch says is what a computation from scratch over all members says."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.monitoring.selection_watch.cases import HOUR, MINUTE, Story
from tests.selection.selector_cases import TARGETS, cloud
from tsds_stream import SelectorConfig
from tsds_stream.monitoring.selection_watch import SelectionWatch, load, save

GROUPS = ["red", "blue", None, "red", "green", "blue", "red", None]
CONFIG = SelectorConfig(budget=12, calibration=60, max_k=40)

steps = st.lists(
    st.sampled_from(["add", "add", "update", "remove", "target", "withdraw", "restart", "reload", "budget"]),
    min_size=3,
    max_size=14,
)


class Checked:
    """A story, and everything that was ever published, by id."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.story = Story(TARGETS, CONFIG, groups=GROUPS)
        self.p: dict[bytes, float] = {}
        self.points: set[bytes] = set()
        self.ids: set[str] = set()
        self.sources: dict[str, str] = {}
        self.churn: Counter[str] = Counter()
        self.count = 0

    def step(self, what: str, directory) -> None:
        story, rng = self.story, self.rng
        selector = story.selector
        if what == "add":
            names = [f"d{self.count + k}" for k in range(25)]
            self.count += 25
            self._add(names)
        elif what == "update" and self.count:
            self._add([f"d{k}" for k in rng.choice(self.count, 5, replace=False)])
        elif what == "remove" and self.count:
            story.remove([f"d{k}" for k in rng.choice(self.count, 8, replace=False)])
        elif what == "target":
            selector.add_targets([f"late{rng.integers(3)}"], cloud(1, seed=int(rng.integers(99))))
            if selector.waiting:
                selector.finish_backfill(complete=False)
            story.journal.targets_changed()
        elif what == "withdraw" and len(selector.active_targets) > 3:
            selector.remove_targets([selector.active_targets[int(rng.integers(3))]])
            story.journal.targets_changed()
        elif what == "restart":
            save(story.watch, directory / "watch.npz")
            watch = SelectionWatch()
            assert load(watch, directory / "watch.npz")
            story.restart(watch=watch)
            self.churn.clear()
        elif what == "reload":
            story.restart()
            self.p, self.points, self.sources = {}, set(), {}
            self.churn.clear()
        elif what == "budget":
            story.restart(SelectorConfig(**{**CONFIG.model_dump(), "budget": int(rng.integers(6, 20))}), story.watch)

    def _add(self, names: list[str]) -> None:
        source = str(self.rng.choice(["forum", "manual", "wiki"]))
        self.story.add(names, cloud(len(names), seed=int(self.rng.integers(10**6))), source=source)

    def check(self) -> None:
        notice = self.story.publish(after=MINUTE)
        if notice is None:
            return
        document, selector, revision = self.story.document(), self.story.selector, notice.revision
        keys = dict(selector.held())
        names, values = selector.probabilities()
        p = {keys[name]: value for name, value in zip(names, values.tolist(), strict=True)}
        points = set(revision.keys)
        if self.p:
            moved = 0.5 * sum(abs(p.get(k, 0.0) - self.p.get(k, 0.0)) for k in p.keys() | self.p.keys())
            assert document["tv"] == (pytest.approx(moved, abs=1e-6) if p else None)  # nothing has no probabilities
            assert document["turnover"] == pytest.approx(1 - len(points & self.points) / len(points | self.points))
        else:
            assert document["tv"] is None
        self.p, self.points = p, points

        self.churn["added"] += len(set(revision.ids) - self.ids)
        self.churn["removed"] += len(self.ids - set(revision.ids))
        self.ids = set(revision.ids)
        for direction in ("added", "removed"):
            assert sum(counts[direction] for counts in document["churn"].values()) == self.churn[direction]
        self._check_groups(document, revision)
        self._check_sources(document, revision, notice)
        self._check_coverage(document, revision)
        assert document["truncated_share"] == revision.truncated / revision.targets_active

    def _check_groups(self, document, revision) -> None:
        selector, groups = self.story.selector, self.story.one.groups
        queries, _ = selector.queries
        label = {query.id: groups.get(query.id) or "other" for query in queries}
        asked: dict[str, float] = defaultdict(float)
        selected: dict[str, float] = defaultdict(float)
        for query in queries:
            asked[label[query.id]] += query.weight
        for near, weight in zip(selector.nearest_targets(revision.ids, 1), revision.weights.tolist(), strict=True):
            selected[label[near[0][0]]] += weight
        total, weight = sum(asked.values()), sum(selected.values())
        if document["named_groups"]:
            assert {one["group"] for one in document["groups"]} == asked.keys()
            for one in document["groups"]:
                assert one["asked"] == pytest.approx(asked[one["group"]] / total)
                assert one["selected"] == pytest.approx(selected[one["group"]] / weight)
            apart = 0.5 * sum(abs(asked[k] / total - selected[k] / weight) for k in asked)
            assert document["group_distance"] == pytest.approx(apart)

    def _check_sources(self, document, revision, notice) -> None:
        # Of members that were not sent again since a restart without a saved state the source is not known.
        self.sources.update((one["id"], one["meta"]["source"]) for one in notice.upserts)
        weights: dict[str, float] = defaultdict(float)
        for name, weight in zip(revision.ids, revision.weights.tolist(), strict=True):
            if name in self.sources:
                weights[self.sources[name]] += weight
        total = sum(weights.values())
        expected = {name: pytest.approx(weight / total) for name, weight in weights.items()}
        assert {one["source"]: one["share"] for one in document["sources"]} == expected
        if expected:
            herfindahl = sum((weight / total) ** 2 for weight in weights.values())
            assert document["source_concentration"] == pytest.approx(herfindahl)

    def _check_coverage(self, document, revision) -> None:
        selector = self.story.selector
        _, targets = selector.queries
        squared = ((targets[:, None].astype(float) - selector.vectors(revision.ids)[None].astype(float)) ** 2).sum(2)
        far = np.sqrt(squared.min(1)) > document["coverage_distance"]
        assert document["uncovered"] == far.sum()
        listed = {one["id"]: one["nearest"] for one in document["uncovered_targets"]}
        nearest = {selector.target_ids[k]: revision.ids[int(squared[k].argmin())] for k in np.flatnonzero(far)}
        assert listed == nearest


@given(st.integers(0, 10**6), steps)
@settings(max_examples=40)
def test_the_watch_agrees_with_a_computation_from_scratch(tmp_path_factory, seed, history):
    checked = Checked(seed)
    directory = tmp_path_factory.mktemp("state")
    for what in ["add", *history]:
        checked.step(what, directory)
        checked.check()


def test_an_hour_and_a_day_ago_are_compared_with_what_was_in_force_then(tmp_path):
    story = Story(TARGETS, CONFIG)
    rng = np.random.default_rng(5)
    history = []  # (since, p, points)
    for k in range(60):
        story.add([f"d{k * 10 + i}" for i in range(10)], cloud(10, seed=k))
        if story.publish(after=int(rng.integers(1, 80)) * MINUTE) is None:
            continue
        keys = dict(story.selector.held())
        names, values = story.selector.probabilities()
        p = {keys[name]: value for name, value in zip(names, values.tolist(), strict=True)}
        history.append((story.now, p, set(story.notice.revision.keys)))
        if k == 40:  # another process goes on
            save(story.watch, tmp_path / "state" / "watch.npz")
            watch = SelectionWatch()
            assert load(watch, tmp_path / "state" / "watch.npz")
            story.restart(watch=watch)
        now = story.now + int(rng.integers(0, 30)) * MINUTE
        document = story.watch.document(now)
        for name, back, step in (("hour", HOUR, 10 * MINUTE), ("day", 24 * HOUR, HOUR)):
            since_long = history[-1][0] <= now - back
            moment = now - back if since_long else (now - back) // step * step
            then = [one for one in history if one[0] <= moment]
            if not then:
                assert document[f"tv_{name}"] is document[f"turnover_{name}"] is None
                continue
            _, q, points = then[-1]
            _, p, present = history[-1]
            moved = 0.5 * sum(abs(p.get(k, 0.0) - q.get(k, 0.0)) for k in p.keys() | q.keys())
            assert document[f"tv_{name}"] == pytest.approx(moved, abs=1e-6)
            assert document[f"turnover_{name}"] == pytest.approx(1 - len(present & points) / len(present | points))
    assert document["tv_day"] is not None
    assert story.document(after=30 * HOUR)["tv_day"] == 0  # nothing has been published since
