"""The transport plan of `kde` and `uniform` against its definition, bit for bit, and by hand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.selection import transport_oracle as oracle
from tsds_stream.selection.mass import effective_sample_size
from tsds_stream.selection.rows import Rows
from tsds_stream.selection.transport import Cost, Goal, Hint, Plan, Volume, query_shares, solve


@dataclass(frozen=True)
class Case:
    rows: Rows
    weights: np.ndarray
    shares: np.ndarray
    order: np.ndarray
    tokens: np.ndarray

    def lists(self) -> list[list[tuple[float, int]]]:
        r = self.rows
        return [
            list(zip(r.squared[i, :n].tolist(), r.points[i, :n].tolist(), strict=True)) for i, n in enumerate(r.counts)
        ]

    def by_definition(self, goal: Goal) -> oracle.OraclePlan:
        r = self.rows
        row = (self.lists(), r.frontiers.tolist(), r.max_k, self.weights.tolist(), self.shares.tolist())
        if isinstance(goal, Cost):
            return oracle.plan(*row, threshold=goal.threshold)
        factors = None if goal.factors is None else goal.factors.tolist()
        return oracle.plan(*row, volume_target=goal.target, order=goal.order.tolist(), factors=factors)


def make_rows(lists: list[list[float]], numbers: list[list[int]], frontiers: list[float], max_k: int) -> Rows:
    """Rows from distances (not squared); padding is nonsense on purpose."""
    width = max(map(len, lists)) + 2
    squared = np.full((len(lists), width), np.nan)
    points = np.full((len(lists), width), -(2**31), np.int32)
    for i, (distances, row) in enumerate(zip(lists, numbers, strict=True)):
        squared[i, : len(row)] = np.square(distances)
        points[i, : len(row)] = row
    return Rows(squared, points, np.array([*map(len, lists)]), np.square(np.array(frontiers, float)), max_k)


def random_case(seed: int, queries: int, points: int, max_k: int) -> Case:
    rng = np.random.default_rng(seed)
    coarse = rng.random() < 0.4  # ties and zero distances
    states = rng.choice(["complete", "full", "short", "mixed"])
    distances, numbers, frontiers = [], [], []
    for _ in range(queries):
        state = states if states != "mixed" else rng.choice(["complete", "full", "short"])
        state = "full" if state == "short" and max_k == 1 else state
        n = max_k if state == "full" else int(rng.integers(1, max_k + (state == "complete")))
        squared = np.sort(rng.integers(0, 6, n) / 4.0 if coarse else rng.random(n) * 2)
        distances.append(np.sqrt(squared).tolist())
        numbers.append(rng.choice(points, n, replace=False).tolist())
        frontiers.append(inf if state == "complete" else distances[-1][-1] + rng.choice([0.0, 0.25]))
    kind = rng.choice(["uniform", "density", "wild", "tiny"])
    m = rng.integers(1, 4, points).astype(float)
    weights = {
        "uniform": m,
        "density": m / (m + rng.integers(0, 4, points) / 3),
        "wild": 10.0 ** rng.uniform(-12, 6, points),
        "tiny": np.where(rng.random(points) < 0.5, 1e-30, 0.75),
    }[kind]
    shares = query_shares(rng.integers(1, 5, queries).astype(float) if rng.random() < 0.5 else np.ones(queries))
    order = rng.permutation(points)
    return Case(
        make_rows(distances, numbers, frontiers, max_k), weights, shares, order, rng.integers(1, 900, points) / 1
    )


def random_goal(case: Case, seed: int) -> Goal:
    rng = np.random.default_rng(seed)
    if rng.random() < 0.5:
        scale = float(case.weights.max() if rng.random() < 0.2 else np.median(case.weights))
        return Cost(float(len(case.shares) * 10.0 ** rng.uniform(-3, 1.5) * scale))
    tokens = case.tokens if rng.random() < 0.5 else None
    listed = np.zeros(len(case.weights), bool)
    for row in case.lists():
        listed[[j for _, j in row]] = True
    total = float((case.weights * (1 if tokens is None else tokens))[listed].sum())
    return Volume(total * rng.uniform(0.05, 1.1), case.order, tokens)


def assert_same_bits(plan: Plan, expected: oracle.OraclePlan, case: Case) -> None:
    assert plan.s == expected.s
    assert plan.phi == expected.phi
    assert plan.reached == expected.reached
    assert plan.reach.tolist() == expected.reach
    assert plan.truncated.tolist() == expected.truncated
    mass = plan.mass()
    assert list(zip(mass.rows.tolist(), mass.columns.tolist(), mass.values.tolist(), strict=True)) == expected.gamma
    p = mass.probabilities(len(case.weights))
    assert p.tolist() == expected.p
    assert mass.transport_cost == expected.cost
    assert effective_sample_size(p, case.order) == oracle.effective_sample_size(expected.p, case.order.tolist())
    np.testing.assert_allclose(p.sum(), 1, rtol=1e-12)
    np.testing.assert_allclose(np.bincount(mass.rows, mass.values), case.shares / len(case.shares), rtol=1e-12)
    np.testing.assert_allclose(mass.row_costs(len(case.shares)).sum(), expected.cost, rtol=1e-12, atol=1e-300)


seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=400)
@given(seeds, st.integers(1, 6), st.integers(1, 12), st.integers(0, 8))
def test_small_plans_are_the_definition_bit_for_bit(seed, queries, max_k, spare):
    case = random_case(seed, queries, max_k + spare, max_k)
    goal = random_goal(case, seed)
    assert_same_bits(solve(case.rows, case.weights, case.shares, goal), case.by_definition(goal), case)


@pytest.mark.parametrize("seed", range(24))
def test_larger_plans_are_the_definition_bit_for_bit(seed):
    case = random_case(seed, queries=30, points=900, max_k=250)
    goal = random_goal(case, seed)
    assert_same_bits(solve(case.rows, case.weights, case.shares, goal), case.by_definition(goal), case)


@settings(max_examples=150)
@given(seeds, st.booleans())
def test_a_goal_that_is_met_to_the_last_bit_is_met(seed, by_volume):
    """One unit in the last place more is not: s goes on to the next breakpoint at which the quantity rises."""
    case = random_case(seed, queries=5, points=60, max_k=30)
    start = solve(case.rows, case.weights, case.shares, random_goal(case, seed))
    if by_volume:
        least = oracle.least_mass_in_front(case.lists(), case.weights.tolist(), 60)
        value = oracle.volume(start.s, least, case.weights.tolist(), case.order.tolist())
    else:
        value = start.phi
    if value == 0:
        return
    for target in (value, float(np.nextafter(value, inf))):
        goal = Volume(target, case.order) if by_volume else Cost(target)
        plan = solve(case.rows, case.weights, case.shares, goal)
        assert_same_bits(plan, case.by_definition(goal), case)
        assert plan.s <= start.s if target == value else plan.s > start.s or not plan.reached


@settings(max_examples=150)
@given(seeds, st.integers(1, 200), st.floats(1e-6, 1e6), st.sampled_from([1, 7, 4096]))
def test_neither_the_hint_nor_the_padding_nor_the_order_of_probes_changes_a_bit(seed, columns, s, few):
    case = random_case(seed, queries=9, points=200, max_k=120)
    goal = random_goal(case, seed)
    plan = solve(case.rows, case.weights, case.shares, goal)
    width = int(case.rows.counts.max())
    tight = replace(
        case.rows,
        squared=np.nan_to_num(case.rows.squared[:, :width], nan=0.5),
        points=np.maximum(case.rows.points[:, :width], 0),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tsds_stream.selection.breakpoints._FEW", few)
        patch.setattr("tsds_stream.selection.prefix._BLOCK", few)
        again = solve(tight, case.weights, case.shares, goal, Hint(s, columns))
    assert (again.s, again.phi, again.phi_before, again.reached) == (plan.s, plan.phi, plan.phi_before, plan.reached)
    assert again.reach.tolist() == plan.reach.tolist()
    assert again.truncated.tolist() == plan.truncated.tolist()
    assert again.mass().values.tobytes() == plan.mass().values.tobytes()
    warm = solve(case.rows, case.weights, case.shares, goal, plan.hint)
    assert (warm.s, warm.reach.tolist()) == (plan.s, plan.reach.tolist())


def test_many_equal_breakpoints_are_found_too():
    rng = np.random.default_rng(3)
    numbers = [rng.permutation(300)[:40].tolist() for _ in range(200)]
    distances = [np.sort(rng.random(40)).tolist() for _ in range(200)]
    case = Case(
        make_rows(distances, numbers, [2.0] * 200, 40), np.ones(300), np.ones(200), np.arange(300), np.ones(300)
    )
    for goal in (Cost(200.0), Volume(250.0, case.order)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tsds_stream.selection.breakpoints._FEW", 0)
            assert_same_bits(solve(case.rows, case.weights, case.shares, goal), case.by_definition(goal), case)


def test_what_lies_beyond_the_reach_is_never_read():
    """1000 columns, of which all behind the 80th are poison; the plan ends near the 20th."""
    rng = np.random.default_rng(0)
    distances = np.sort(rng.random((5, 1000)), axis=1)
    distances[:, 80:] = np.nan
    numbers = np.stack([rng.permutation(2000)[:1000] for _ in range(5)])
    weights = np.ones(2000)
    weights[np.setdiff1d(np.arange(2000), numbers[:, :80])] = np.nan
    rows = Rows(distances**2, numbers.astype(np.int32), np.full(5, 1000), np.full(5, 4.0), 1000)
    for goal in (Cost(0.1), Volume(80.0, np.arange(2000))):
        plan = solve(rows, weights, np.ones(5), goal)
        assert 1 <= plan.reach.max() < 60
        assert np.isfinite(plan.mass().values).all()


def test_one_dense_row_does_not_make_the_others_be_read_as_far():
    """The first query sits among 900 near-copies of weight 1/1000, the others among points of weight 1."""
    rng = np.random.default_rng(0)
    numbers = np.stack([np.arange(1000)] + [rng.permutation(3000)[:1000] + 1000 for _ in range(6)])
    weights = np.where(np.arange(4000) < 900, 1e-3, 1.0)
    distances = np.sort(rng.random((7, 1000)), axis=1)
    rows = Rows(distances**2, numbers.astype(np.int32), np.full(7, 1000), np.full(7, 4.0), 1000)
    case = Case(rows, weights, np.ones(7), np.arange(4000), np.ones(4000))
    goal = Cost(0.5)
    plan = solve(rows, weights, np.ones(7), goal)
    assert_same_bits(plan, case.by_definition(goal), case)
    assert plan.reach[0] > 900
    assert plan.prefix.known[1:].max() == 64


def test_a_finished_plan_names_the_points_whose_weight_was_a_guess():
    case = random_case(5, queries=8, points=300, max_k=100)
    plan = solve(case.rows, case.weights, case.shares, Cost(2.0))
    shaping = {j for row, k in zip(case.lists(), plan.reach.tolist(), strict=True) for _, j in row[: k + 1]}
    assert plan.unsettled(np.zeros(300, bool)).tolist() == sorted(shaping)
    settled = np.zeros(300, bool)
    settled[sorted(shaping)[1:]] = True
    assert plan.unsettled(settled).tolist() == sorted(shaping)[:1]
    other = case.weights.copy()
    other[sorted(set(range(300)) - shaping)] *= 1e3  # a guess beyond the reach shapes nothing
    again = solve(case.rows, other, case.shares, Cost(2.0))
    assert again.s == plan.s
    assert again.mass().values.tobytes() == plan.mass().values.tobytes()


# --- by hand ------------------------------------------------------------------------------------------------------


def test_figure_one_of_the_paper():
    """One query, five candidates; x1, x2, x3 form a cluster in which each has density 3/2, x4 and x5 stand alone.

    Within the cluster each pair is as far apart as makes the kernel 1/4: ρ = 1 + 1/4 + 1/4 = 3/2, so w = 2/3; x4 and x5
    have ρ = 1, w = 1. Distances to the query: 1, 1.25, 1.5 | 2, 2.5. All candidates are known (a complete row).

    KNN-Uniform, S = 1 2 3 4 5. Φ(1) = 1·.25, Φ(2) = .25 + 2·.25 = .75, Φ(3) = .75 + 3·.5 = 2.25.
    With λ = 2 s is 3: the three members of the cluster get 1/3 each, and nothing else is looked at.

    KNN-KDE, S = 2/3 4/3 2 3 4. Φ(2/3) = 2/3·.25 = 1/6, Φ(4/3) = 1/6 + 1/3 = 1/2, Φ(2) = 1/2 + 2·.5 = 3/2,
    Φ(3) = 3/2 + 3·.5 = 3. With λ = 2 s is 3: the cluster counts for two, 2/9 each, and x4 gets the third third.
    """
    rows = make_rows([[1, 1.25, 1.5, 2, 2.5]], [[0, 1, 2, 3, 4]], [inf], 8)
    goal = Cost.of(alpha=1 / 3, scale=1.0, queries=1)
    assert goal.threshold == pytest.approx(2)
    uniform = solve(rows, np.ones(5), np.ones(1), goal)
    assert (uniform.s, uniform.phi) == (3, 2.25)
    np.testing.assert_allclose(uniform.mass().probabilities(5), [1 / 3, 1 / 3, 1 / 3, 0, 0], rtol=1e-15)
    density = np.array([1.5, 1.5, 1.5, 1, 1])
    kde = solve(rows, 1 / density, np.ones(1), goal)
    assert kde.s == pytest.approx(3)
    assert kde.phi == pytest.approx(3)
    np.testing.assert_allclose(kde.mass().probabilities(5), [2 / 9, 2 / 9, 2 / 9, 1 / 3, 0], rtol=1e-15)
    assert kde.reach.tolist() == [4]
    assert not kde.truncated.any()


def test_one_document_gets_everything():
    rows = make_rows([[0.5], [0.0]], [[0], [0]], [inf, inf], 4)
    for goal in (Cost(1e-9), Cost(1e9), Volume(0.5, np.array([0])), Volume(7.0, np.array([0]))):
        plan = solve(rows, np.array([0.25]), np.ones(2), goal)
        assert plan.s == 0.25
        assert not plan.truncated.any()
        assert plan.mass().probabilities(1).tolist() == [1.0]


def test_a_complete_row_caps_s_and_is_not_truncated():
    """Two points are all there is: Φ never reaches the threshold, and s is what the row can hold."""
    rows = make_rows([[0.1, 0.2]], [[0, 1]], [inf], 4)
    plan = solve(rows, np.ones(2), np.ones(1), Cost(1e6))
    assert (plan.s, plan.reached) == (2.0, False)
    assert plan.truncated.tolist() == [False]
    assert plan.mass().probabilities(2).tolist() == [0.5, 0.5]
    assert plan.filling_alpha(1.0) is None


def test_a_complete_row_also_caps_the_rows_beside_it():
    """Row 1 goes on beyond max_k, but row 0 holds 2 at most, so its end at 3 does not matter."""
    rows = make_rows([[0.1, 0.2], [0.1, 0.2, 0.3]], [[0, 1], [2, 3, 4]], [inf, 0.4], 3)
    plan = solve(rows, np.ones(5), np.ones(2), Cost(1e6))
    assert (plan.s, plan.reached) == (2.0, False)
    assert plan.truncated.tolist() == [False, False]


def test_a_full_row_that_ends_too_early_spreads_over_all_it_has():
    """Never a spike on the last entry. The short row 1 knows that more comes at its frontier: it is truncated too."""
    rows = make_rows([[0.1, 0.2, 0.3], [0.1, 0.2]], [[0, 1, 2], [3, 4]], [0.4, 0.25], 3)
    plan = solve(rows, np.array([1, 1, 2.0, 1, 1]), np.ones(2), Cost(1e6))
    assert (plan.s, plan.reached) == (4.0, False)
    assert plan.truncated.tolist() == [True, True]
    np.testing.assert_allclose(plan.mass().probabilities(5), [1 / 8, 1 / 8, 1 / 4, 1 / 4, 1 / 4])


def test_only_the_rows_that_end_below_s_are_truncated():
    """Φ(3) = (1 + 2 + 3)·.1 in row 0, plus 2·.5 in row 1, a short row: weight 2, frontier at .5."""
    rows = make_rows([[0.0, 0.1, 0.2, 0.3], [0.0, 0.0]], [[0, 1, 2, 3], [4, 5]], [0.5, 0.5], 4)
    plan = solve(rows, np.ones(6), np.ones(2), Cost(1.5))
    assert (plan.s, plan.reached) == (3.0, True)
    assert plan.phi == pytest.approx(0.1 + 0.2 + 0.3 + 1.0)
    assert plan.truncated.tolist() == [False, True]


def test_a_first_weight_above_s_takes_the_whole_row_and_no_more():
    rows = make_rows([[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]], [[0, 1, 2], [3, 4, 5]], [3.0, 3.0], 3)
    plan = solve(rows, np.array([1.0, 1, 1, 50, 1, 1]), np.ones(2), Cost(0.5))
    assert plan.s == 1.0
    assert plan.reach.tolist() == [1, 0]
    assert plan.mass().probabilities(6).tolist() == [0.5, 0, 0, 0.5, 0, 0]


def test_a_row_without_points_takes_no_part():
    rows = make_rows([[], [0.1, 0.4]], [[], [0, 1]], [inf, inf], 4)
    plan = solve(rows, np.ones(2), np.ones(2), Cost(0.2))
    assert plan.reach.tolist() == [0, 1]
    assert plan.truncated.tolist() == [False, False]
    assert plan.mass().rows.tolist() == [1]


@pytest.mark.parametrize("goal", [Cost(0.0), Cost(inf), Cost(float("nan")), Volume(0.0, np.arange(2))])
def test_a_goal_that_is_not_a_positive_number_is_refused(goal):
    with pytest.raises(ValueError, match="positive and finite"):
        solve(make_rows([[0.1, 0.4]], [[0, 1]], [inf], 4), np.ones(2), np.ones(1), goal)


def test_rows_without_any_point_are_refused():
    with pytest.raises(ValueError, match="at least one row with a point"):
        solve(make_rows([[]], [[]], [inf], 4), np.ones(2), np.ones(1), Cost(1.0))


# --- alpha = auto -------------------------------------------------------------------------------------------------


@settings(max_examples=100)
@given(seeds)
def test_the_closed_form_of_the_volume_is_its_definition(seed):
    """V(s) = Σ_j w_j max_i clip((s − S_i,k−1)/w_ik, 0, 1) = Σ_j clip(s − T_j, 0, w_j)."""
    case = random_case(seed, queries=4, points=20, max_k=9)
    weights = case.weights.tolist()
    least = oracle.least_mass_in_front(case.lists(), weights, 20)
    s = float(np.random.default_rng(seed).uniform(0, 3 * case.weights.max()))
    filled = [0.0] * 20
    for row in case.lists():
        front = 0.0
        for _, j in row:
            filled[j] = max(filled[j], min(max((s - front) / weights[j], 0.0), 1.0))
            front += weights[j]
    expected = sum(f * w for f, w in zip(filled, weights, strict=True))
    assert oracle.volume(s, least, weights, range(20)) == pytest.approx(expected, rel=1e-9)


@settings(max_examples=150)
@given(seeds, st.floats(0.05, 0.9), st.floats(0.1, 10))
def test_the_filling_alpha_fills(seed, share, scale):
    case = random_case(seed, queries=6, points=120, max_k=60)
    total = float(case.weights[sorted({j for row in case.lists() for _, j in row})].sum())
    wanted = solve(case.rows, case.weights, case.shares, Volume(share * total, case.order))
    alpha = wanted.filling_alpha(scale)
    if not wanted.reached:
        assert alpha is None
        return
    assert alpha is not None
    assert 0 < alpha < 1
    numeric = solve(case.rows, case.weights, case.shares, Cost.of(alpha, scale, 6))
    assert numeric.s >= wanted.s
    if wanted.phi_before < wanted.phi * (1 - 1e-9) and alpha < 0.999:
        assert numeric.s == wanted.s
        assert alpha > wanted.implied_alpha(scale)


def test_shares_are_ones_when_all_targets_weigh_one():
    assert query_shares(np.ones(7)).tolist() == [1.0] * 7
    weights = [1.0, 2.5, 0.5, 3.0]
    assert query_shares(np.array(weights)).tolist() == oracle.query_shares(weights)
