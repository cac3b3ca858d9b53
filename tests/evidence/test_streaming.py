"""What follows a stream is compared with what is made anew at the same place."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.evidence import streaming
from benchmarks.evidence.corpora import Corpus
from benchmarks.evidence.streams.following import arrived, entered, followed, from_scratch, part_of, settings
from benchmarks.evidence.streams.orders import in_waves, streamed
from benchmarks.evidence.trials import Split, Trial


def stream(corpus: Corpus, length: int = 200) -> Trial:
    split = Split(corpus, {"fish": 0.6, "stars": 0.4}, 0, 200, 20, 20, copied=0.05)
    trial = split.trial(30, 20, 0.05)
    order = in_waves(trial.domains, np.random.default_rng(0))
    return streamed(trial, order, length, calibration=50)


@pytest.mark.parametrize("rule", streaming.RULES)
def test_a_selection_that_follows_the_stream_is_the_one_made_from_scratch(small_corpus: Corpus, rule: str):
    task = stream(small_corpus).task
    for step in followed(task, rule, 50):
        anew = from_scratch(task, rule, step.seen)
        assert step.rows == anew.rows == part_of(task, rule, 0, step.seen)
        assert step.digest == anew.digest


def test_another_draw_of_the_same_plan_differs_and_keeps_the_budget(small_corpus: Corpus):
    task = stream(small_corpus).task
    *_, last = followed(task, "kde", 100, ("multinomial", "coordinated"))
    for drawn in last.drawn.values():
        assert drawn != last.rows
        assert task.pool.tokens[sorted(drawn)].sum() <= task.budget


def test_turnover_counts_what_enters_and_what_has_only_just_arrived():
    assert entered({1, 2, 3, 4}, {1, 2, 8, 9}) == 0.5
    assert arrived({1, 2, 8, 9}, seen=9) == 0.25


def test_a_part_of_the_stream_is_selected_from_that_part_with_its_share_of_the_budget(small_corpus: Corpus):
    task = stream(small_corpus).task
    rows = sorted(part_of(task, "turns", 100, 200, share=0.5))
    assert 100 <= rows[0] < rows[-1] < 200
    assert task.pool.tokens[rows].sum() <= round(0.5 * task.budget)


def test_a_wave_holds_its_domain_together():
    domains = np.repeat([0, 1, 2], 500)
    order = in_waves(domains, np.random.default_rng(1))
    assert sorted(order.tolist()) == list(range(1500))
    for domain in range(3):
        turn = np.exp(2j * np.pi * np.flatnonzero(domains[order] == domain) / 1500)
        assert abs(turn.mean()) > 0.5  # a domain that comes evenly has 0


def test_a_stream_longer_than_its_pool_is_refused(small_corpus: Corpus):
    with pytest.raises(ValueError, match="is to have 100000 documents"):
        stream(small_corpus, 100_000)


def test_only_what_the_product_selects_can_be_followed(small_corpus: Corpus):
    with pytest.raises(ValueError, match="dsir is not selected by the product"):
        settings("dsir", stream(small_corpus).task)


def test_all_selections_of_a_stream_are_measured(small_corpus: Corpus, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(streaming, "REVISIONS", 8)
    found = {one.method: one.figures for one in streaming._followed(stream(small_corpus), "waves")}
    assert found["kde, from scratch"]["same digest"] == found["turns, from scratch"]["same digest"] == 1.0
    for rule in streaming.RULES:
        own = found[rule]
        assert own["entered"] == pytest.approx(own["arrived"] + own["avoidable"])
        assert found[f"{rule}, sliding window"]["loss at point 1"] == own["loss at point 1"]
        assert found[f"{rule}, kept from the first point"]["loss at point 1"] == own["loss at point 1"]
        assert "loss" not in found[f"{rule}, block by block"]
    assert found["kde, multinomial"]["avoidable"] > found["kde"]["avoidable"]
