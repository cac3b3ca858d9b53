"""The transport plans solve the paper's optimisation problem: checked by linear programs (HiGHS) in small cases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.sparse import coo_array

from tsds_stream.selection.rows import Rows
from tsds_stream.selection.total_variation import solve_total_variation
from tsds_stream.selection.transport import Cost, query_shares, solve

seeds = st.integers(0, 2**32 - 1)


@dataclass(frozen=True)
class Pool:
    """Every query's distance to every point; nothing is cut off."""

    distances: np.ndarray  # (M, P)
    multiplicities: np.ndarray  # (P,)
    densities: np.ndarray  # (P,)
    shares: np.ndarray  # (M,)
    price: float
    ties: bool

    def rows(self, max_k: int) -> Rows:
        """The shortlists over this pool: complete when it fits, full otherwise."""
        queries, points = self.distances.shape
        order = np.argsort(self.distances, axis=1, kind="stable")
        squared = np.take_along_axis(self.distances, order, axis=1) ** 2
        n = min(points, max_k)
        frontiers = squared[:, max_k] if points > max_k else np.full(queries, np.inf)
        return Rows(squared[:, :n], order[:, :n].astype(np.int32), np.full(queries, n), frontiers, max_k)


def random_pool(seed: int) -> Pool:
    rng = np.random.default_rng(seed)
    queries, points = int(rng.integers(1, 4)), int(rng.integers(1, 8))
    ties = bool(rng.random() < 0.4)
    distances = rng.integers(0, 4, (queries, points)) / 2 if ties else rng.random((queries, points)) * 2
    m = rng.integers(1, 4, points) if rng.random() < 0.5 else np.ones(points, np.int64)
    shares = query_shares(rng.integers(1, 4, queries).astype(float) if rng.random() < 0.5 else np.ones(queries))
    density = m + rng.integers(0, 5, points) * 0.75
    return Pool(distances, m, density, shares, float(10 ** rng.uniform(-1.5, 1)), ties)


def spread_program(pool: Pool, weights: np.ndarray) -> tuple[float, np.ndarray]:
    """Least Σ γ d + λ · M · t subject to Σ_j γ_ij = a_i/M and γ_ij ≤ t a_i w_j: (objective, γ)."""
    queries, points = pool.distances.shape
    n = queries * points
    entry = np.arange(n)
    row = entry // points
    bound = (pool.shares[:, None] * weights[None, :]).ravel()
    a_ub = coo_array(
        (np.r_[np.ones(n), -bound], (np.r_[entry, entry], np.r_[entry, np.full(n, n)])), shape=(n, n + 1)
    ).tocsr()
    a_eq = coo_array((np.ones(n), (row, entry)), shape=(queries, n + 1)).tocsr()
    c = np.r_[pool.distances.ravel(), pool.price * queries]
    result = linprog(c, a_ub, np.zeros(n), a_eq, pool.shares / queries, method="highs")
    assert result.success
    return result.fun, result.x[:n].reshape(queries, points)


def variation_program(pool: Pool) -> tuple[float, np.ndarray]:
    """Least Σ γ d + λ · ½ Σ u with u_ij ≥ |γ_ij − a_i m_j/(M N)|: (objective, γ)."""
    queries, points = pool.distances.shape
    n = queries * points
    even = even_plan(pool).ravel()
    eye = np.eye(n)
    a_ub = np.block([[eye, -eye], [-eye, -eye]])
    a_eq = np.hstack([np.kron(np.eye(queries), np.ones(points)), np.zeros((queries, n))])
    c = np.r_[pool.distances.ravel(), np.full(n, pool.price / 2)]
    result = linprog(c, a_ub, np.r_[even, -even], a_eq, pool.shares / queries, method="highs")
    assert result.success
    return result.fun, result.x[:n].reshape(queries, points)


def even_plan(pool: Pool) -> np.ndarray:
    m = pool.multiplicities
    return pool.shares[:, None] / len(pool.shares) * m[None, :] / m.sum()


def dense(mass, pool: Pool) -> np.ndarray:
    gamma = np.zeros(pool.distances.shape)
    gamma[mass.rows, mass.points] = mass.values
    return gamma


def check_spread(pool: Pool, weights: np.ndarray, max_k: int) -> None:
    plan = solve(pool.rows(max_k), weights, pool.shares, Cost(len(pool.shares) * pool.price))
    if plan.truncated.any():
        return
    gamma = dense(plan.mass(), pool)
    best, expected = spread_program(pool, weights)
    spread = (gamma / (pool.shares[:, None] * weights[None, :])).max()
    objective = (gamma * pool.distances).sum() + pool.price * len(pool.shares) * spread
    np.testing.assert_allclose(objective, best, rtol=1e-7, atol=1e-9)
    if not pool.ties:  # then the optimum is unique
        np.testing.assert_allclose(gamma, expected, atol=1e-7)


@settings(max_examples=150)
@given(seeds)
def test_kde_solves_its_linear_program(seed):
    pool = random_pool(seed)
    check_spread(pool, pool.multiplicities / pool.densities, max_k=10)


@settings(max_examples=100)
@given(seeds)
def test_uniform_solves_its_linear_program(seed):
    pool = random_pool(seed)
    check_spread(pool, pool.multiplicities.astype(float), max_k=10)


@settings(max_examples=150)
@given(seeds, st.integers(1, 6))
def test_a_cut_list_that_is_not_truncated_gives_the_plan_of_the_whole_pool(seed, max_k):
    pool = random_pool(seed)
    check_spread(pool, pool.multiplicities / pool.densities, max_k)


@settings(max_examples=150)
@given(seeds, st.integers(1, 10))
def test_tv_solves_its_linear_program(seed, max_k):
    pool = random_pool(seed)
    documents = int(pool.multiplicities.sum())
    plan = solve_total_variation(pool.rows(max_k), pool.multiplicities, pool.shares, pool.price, documents)
    if plan.truncated.any():
        return
    gamma = dense(plan.mass(), pool)
    best, expected = variation_program(pool)
    objective = (gamma * pool.distances).sum() + pool.price * np.abs(gamma - even_plan(pool)).sum() / 2
    np.testing.assert_allclose(objective, best, rtol=1e-7, atol=1e-9)
    if not pool.ties:
        np.testing.assert_allclose(gamma, expected, atol=1e-7)


def test_most_random_cases_are_not_vacuous():
    """The comparisons above skip truncated plans; most plans are not, and many are capped or reach several points."""
    pools = [random_pool(seed) for seed in range(200)]
    plans = [solve(p.rows(5), p.multiplicities / p.densities, p.shares, Cost(len(p.shares) * p.price)) for p in pools]
    exact = [plan for plan in plans if not plan.truncated.any()]
    assert len(exact) > 120
    assert sum(plan.reached and plan.reach.max() >= 2 for plan in exact) > 30
    assert sum(not plan.reached for plan in exact) > 20
