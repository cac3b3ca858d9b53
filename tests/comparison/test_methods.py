"""Methods of selection: each is what its obvious, slow version gives, and a function of the set of documents."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from fractions import Fraction
from itertools import count
from math import floor, log

import numpy as np
import pytest

from tests.comparison.world import names, pool_and_targets, raw_pool_and_targets, shuffled, task_of, without_texts
from tsds_stream import select
from tsds_stream.comparison.methods import COMPARED, METHODS, method_of
from tsds_stream.comparison.methods.dsir import Dsir
from tsds_stream.comparison.methods.product import reach
from tsds_stream.comparison.task import Task
from tsds_stream.selection.arithmetic import squared_distances

EVERY = [*METHODS, "dedup+kde", "dedup+round_robin", "dedup+nearest", "dedup+dsir", "dedup+random"]


def cut(order: list[int], task: Task) -> list[int]:
    """Documents up to the first that does not fit; those larger than the budget are passed over."""
    taken, left = [], task.budget
    for row in order:
        size = int(task.pool.tokens[row])
        if size > task.budget:
            continue
        if size > left:
            break
        taken.append(row)
        left -= size
    return taken


def key(task: Task, row: int) -> tuple:
    return (*task.pool.keys[row].tolist(), task.pool.ids[row])


def distances(task: Task) -> np.ndarray:
    return squared_distances(task.targets.vectors, task.pool.vectors)


def nearest_slowly(task: Task) -> list[int]:
    squared = distances(task)
    return cut(sorted(range(len(task.pool)), key=lambda j: (squared[:, j].min(), key(task, j))), task)


def round_robin_slowly(task: Task) -> list[int]:
    squared = distances(task)
    rows = [sorted(range(len(task.pool)), key=lambda j: (squared[i, j], key(task, j))) for i in range(len(squared))]
    share = task.targets.weights / task.targets.weights.max()
    order: list[int] = []
    for turn in count(1):
        named = []
        for i, r in enumerate(share.tolist()):
            begin, end = floor((turn - 1) * r), floor(turn * r)
            named += [(squared[i, j], key(task, j), j) for j in rows[i][begin:end]]
        order += [j for _, _, j in sorted(named)]
        if len(set(order)) == len(task.pool):
            return cut(list(dict.fromkeys(order)), task)
    raise AssertionError


def distinct_slowly(task: Task) -> list[int]:
    squared = squared_distances(task.pool.vectors, task.pool.vectors)
    kept: list[int] = []
    for row in sorted(range(len(task.pool)), key=lambda j: key(task, j)):
        if all(squared[row, other] >= task.near_copy * task.near_copy for other in kept):
            kept.append(row)
    return sorted(kept)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("budget", [5, 60, 400, 2000])
def test_nearest_and_round_robin_are_their_obvious_versions(seed: int, budget: int):
    task = task_of(*pool_and_targets(150, 9, seed, copies=5), budget)
    assert METHODS["nearest"].select(task).tolist() == nearest_slowly(task)
    assert METHODS["round_robin"].select(task).tolist() == round_robin_slowly(task)


def test_round_robin_asks_for_longer_lists_until_the_budget_is_full():
    pool, targets = pool_and_targets(400, 2, seed=3)
    task = task_of(pool, targets, int(0.8 * pool.tokens.sum()))
    assert METHODS["round_robin"].select(task).tolist() == round_robin_slowly(task)
    assert METHODS["nearest"].select(task).tolist() == nearest_slowly(task)


@pytest.mark.parametrize("seed", range(3))
def test_deduplication_is_greedy_in_key_order_and_any_method_may_follow(seed: int):
    task = task_of(*pool_and_targets(150, 9, seed, copies=5))
    kept = distinct_slowly(task)
    assert len(kept) <= 150
    rest = task_of(task.pool.part(np.array(kept)), task.targets)
    for name in ("round_robin", "nearest", "kde", "random", "turns"):
        expected = [kept[row] for row in METHODS[name].select(rest).tolist()]
        assert method_of(f"dedup+{name}").select(task).tolist() == expected, name


def test_dsir_scores_are_sums_of_log_ratios_of_hashed_words_and_pairs():
    pool, targets = pool_and_targets(60, 7)
    assert pool.words is not None
    assert targets.words is not None
    method = Dsir(buckets=50)

    def grams(words, row: int) -> list[int]:
        bucket, text = method._ngrams(words)
        return bucket[text == row].tolist()

    wanted: Counter[int] = Counter()
    for row, weight in enumerate(targets.weights.tolist()):
        for gram in grams(targets.words, row):
            wanted[gram] += weight / targets.weights.mean()
    present = Counter(gram for row in range(len(pool)) for gram in grams(pool.words, row))
    wanted_total, present_total = sum(wanted.values()) + 50, sum(present.values()) + 50
    scores = [
        sum(log((wanted[g] + 1) / wanted_total) - log((present[g] + 1) / present_total) for g in grams(pool.words, row))
        for row in range(len(pool))
    ]
    np.testing.assert_allclose(method.scores(task_of(pool, targets)), scores, rtol=1e-9, atol=1e-9)


def test_the_n_grams_of_a_text_are_its_words_and_its_neighbouring_pairs():
    pool, _ = pool_and_targets(20, 3)
    assert pool.words is not None
    bucket, text = Dsir()._ngrams(pool.words)
    lengths = pool.words.lengths
    assert np.bincount(text, minlength=20).tolist() == (2 * lengths - 1).tolist()
    same_pair = Dsir(2**40)._ngrams(pool.words.take(np.array([4, 4])))
    first, second = (same_pair[0][same_pair[1] == row].tolist() for row in (0, 1))
    assert first == second
    assert len(set(bucket.tolist())) > 50


def test_dsir_draws_in_proportion_to_its_scores():
    """With one document that is e^2 times likelier than each of two others, it is drawn first about that often."""
    from tsds_stream.comparison.methods.dsir import gumbel

    random = np.random.default_rng(0)
    scores = np.array([2.0, 0.0, 0.0])
    first = [(scores + gumbel(random.random(3))).argmax() for _ in range(4000)]
    assert np.mean(np.array(first) == 0) == pytest.approx(np.exp(2) / (np.exp(2) + 2), abs=0.03)


@pytest.mark.parametrize("name", EVERY)
def test_a_selection_is_a_function_of_the_set_of_documents(name: str):
    pool, targets = pool_and_targets(200, 10, copies=6)
    other = shuffled(pool)
    settings = {"sigma": 0.4, "calibration": 100}
    before = names(pool, method_of(name).select(task_of(pool, targets, **settings)))
    after = names(other, method_of(name).select(task_of(other, targets, **settings)))
    assert sorted(before) == sorted(after)
    if name not in METHODS or not hasattr(METHODS[name], "changes"):
        assert before == after or name == "dedup+kde" or name == "tv"


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("budget", [1, 40, 900])
def test_no_method_exceeds_the_budget_or_takes_a_document_twice(name: str, budget: int):
    pool, targets = pool_and_targets(200, 10, copies=6)
    rows = method_of(name).select(task_of(pool, targets, budget))
    assert len(set(rows.tolist())) == len(rows)
    assert pool.tokens[rows].sum() <= budget
    if budget == 900:
        assert pool.tokens[rows].sum() > budget - 20  # the longest document


@pytest.mark.parametrize("name", ["random", "dsir", "kde"])
def test_the_seed_decides_what_is_drawn(name: str):
    pool, targets = pool_and_targets(200, 10)
    one, same, other = (names(pool, method_of(name).select(task_of(pool, targets, 200, seed))) for seed in (1, 1, 2))
    assert one == same
    assert set(one) != set(other)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("kde", {"mode": "coordinated"}),
        ("uniform", {"regularizer": "uniform", "mode": "coordinated"}),
        ("turns", {}),
        ("top", {"mode": "top"}),
    ],
)
@pytest.mark.parametrize("given", [{}, {"spread": 3.0, "sigma": 0.3, "max_k": 40}, {"min_distance": 0.25}])
def test_the_products_own_methods_select_what_the_product_selects(name: str, settings: dict, given: dict):
    pool, weighted, vectors = raw_pool_and_targets(300, 12, copies=8)
    targets = replace(weighted, weights=np.ones(len(weighted)))
    rows = METHODS[name].select(task_of(pool, targets, 250, 7, **given))
    revision = select(
        vectors, targets.given, budget=None, token_budget=250, ids=list(pool.ids), tokens=pool.tokens,
        target_ids=list(targets.ids), seed=7, **{**settings, **given},
    )  # fmt: skip
    assert sorted(names(pool, rows)) == revision.ids


def test_the_weights_of_targets_reach_every_method_that_knows_of_them():
    pool, targets = pool_and_targets(300, 12)
    lopsided = replace(targets, weights=np.array([50.0] + [1.0] * 11))
    for name in ("kde", "turns", "round_robin", "dsir"):
        plain, weighted = (set(method_of(name).select(task_of(pool, one, 250)).tolist()) for one in (targets, lopsided))
        assert plain != weighted, name


def test_the_automatic_reach_of_tv_holds_as_many_tokens_as_was_asked():
    task = task_of(*pool_and_targets(200, 8), 300)
    root = np.sqrt(distances(task))
    joins = (root - root.min(1, keepdims=True)).min(0)
    for tokens in (50, 450, 1500):
        price = reach(task, tokens)
        inside = task.pool.tokens[joins <= price].sum()
        assert inside >= tokens
        assert task.pool.tokens[joins < price].sum() < tokens or price == 2.0**-20


def test_methods_that_read_texts_say_so_where_there_are_none():
    pool, targets = without_texts(*pool_and_targets())
    task = task_of(pool, targets)
    assert [name for name in METHODS if METHODS[name].needs_texts] == ["dsir"]
    with pytest.raises(ValueError, match="dsir needs the texts"):
        METHODS["dsir"].select(task)
    for name in EVERY:
        if not method_of(name).needs_texts:
            assert len(method_of(name).select(task))


@pytest.mark.parametrize(
    ("name", "part"),
    [("nearset", "did you mean 'nearest'"), ("best", "there are default, kde"), ("dedup+", "there is no method ''")],
)
def test_an_unknown_method_is_answered_with_those_there_are(name: str, part: str):
    with pytest.raises(ValueError, match="there is no method") as error:
        method_of(name)
    assert part in str(error.value)
    assert "dedup+" in str(error.value)


def test_what_is_compared_by_default_exists_and_every_method_is_described():
    for name in (*COMPARED, *METHODS):
        assert method_of(name).about


def test_rounds_of_weighted_targets_are_those_of_the_rule_in_exact_arithmetic():
    from tsds_stream.comparison.methods.round_robin import _round

    for share in (1.0, 0.5, 0.3, 1 / 3, 0.1, 0.7, 2.0**-20):
        numbers = np.arange(1, 200)
        turns = _round(numbers, np.full(len(numbers), share))
        for number, turn in zip(numbers.tolist(), turns.tolist(), strict=True):
            assert floor(turn * share) >= number > floor((turn - 1) * share)
            assert abs(Fraction(turn) - number / Fraction(share)) <= 1
