"""The whole selection by its definition, from the live documents alone: slow, obvious, and the same bits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tests.selection import sampling_oracle, transport_oracle
from tsds_stream.digests import digest_of
from tsds_stream.selection.arithmetic import (
    KERNEL_UNIT,
    canonical,
    counted_uniforms,
    key_words,
    keys_of,
    salt_of,
    squared_distances,
    uniforms,
)
from tsds_stream.selection.settings import SelectorConfig
from tsds_stream.selection.transport import Cost, distance_price


@dataclass
class Live:
    """The last record of one id."""

    vector: np.ndarray
    tokens: int = 1
    timestamp: int = 0


@dataclass
class Truth:
    ids: list[str]
    probabilities: dict[str, float]  # of every point with mass, by representative
    weights: list[float]
    digest: str
    s: float | None
    truncated: int
    tau: float | None
    cost: float
    effective_sample_size: float | None
    support: int


def batch(
    documents: Mapping[str, Live],
    targets: Mapping[str, tuple[np.ndarray, float]],
    config: SelectorConfig,
    sigma: float | None,
    max_k: int,
    name: str = "default",
) -> Truth:
    """Select from scratch: `targets` maps id to (vector, weight)."""
    # Points: distinct canonical embeddings, represented by their smallest id.
    ids = sorted(documents)
    rows = canonical(np.stack([documents[i].vector for i in ids])) if ids else np.empty((0, 1), np.float32)
    point_of: dict[bytes, list[int]] = {}
    for k, key in enumerate(keys_of(rows)):
        point_of.setdefault(key, []).append(k)
    keys = list(point_of)
    members = [point_of[key] for key in keys]
    vectors = rows[[m[0] for m in members]] if members else rows
    count = [len(m) for m in members]
    representative = [ids[m[0]] for m in members]
    tokens = [documents[r].tokens for r in representative]
    # Queries: identical targets merge under the smallest id.
    merged: dict[bytes, list] = {}
    for target in sorted(targets):
        vector = canonical(targets[target][0][None])
        key = keys_of(vector)[0]
        if key in merged:
            merged[key][1] += targets[target][1]
        else:
            merged[key] = [vector[0], targets[target][1]]
    queries = np.stack([vector for vector, _ in merged.values()])
    weights_of_targets = [weight for _, weight in merged.values()]
    if not keys:
        return Truth([], {}, [], digest_of([], [], []), None, 0, None, 0.0, None, 0)
    # Shortlists: everything, sorted.
    squared = squared_distances(queries, vectors)
    everything = [sorted((float(d), keys[j], j) for j, d in enumerate(row)) for row in squared]
    lists = [[(d, j) for d, _, j in row[:max_k]] for row in everything]
    frontiers = [row[max_k][0] if len(row) > max_k else np.inf for row in everything]
    # Densities, in integers.
    listed = sorted({j for row in lists for _, j in row})
    indexed = listed if config.scope == "candidates" else list(range(len(keys)))
    weights = [float(c) for c in count]
    if config.regularizer == "kde" and sigma:
        between = squared_distances(vectors, vectors)
        for j in listed:
            rho = 0
            for k in indexed:
                rho += count[k] * int(np.rint(max(0.0, 1.0 - between[j, k] / (sigma * sigma)) * KERNEL_UNIT))
            weights[j] = count[j] / (rho / KERNEL_UNIT)
    shares = transport_oracle.query_shares(weights_of_targets)
    order = sorted(range(len(keys)), key=keys.__getitem__)
    order = [j for j in order if j in set(listed)]
    if config.regularizer == "tv":
        price = distance_price(config.alpha, config.distance_scale)
        plan = transport_oracle.total_variation(lists, frontiers, max_k, count, shares, price, len(documents))
    elif config.alpha == "auto":
        plans = []
        if config.budget is not None:
            goal = config.spread * config.budget
            plans.append(transport_oracle.plan(lists, frontiers, max_k, weights, shares, None, goal, order))
        if config.token_budget is not None:
            goal = config.spread * config.token_budget
            factors = [float(t) for t in tokens]
            plans.append(transport_oracle.plan(lists, frontiers, max_k, weights, shares, None, goal, order, factors))
        plan = min(plans, key=lambda plan: plan.s)
    else:
        goal = Cost.of(config.alpha, config.distance_scale, len(queries)).threshold
        plan = transport_oracle.plan(lists, frontiers, max_k, weights, shares, goal)
    support = [j for j in order if plan.p[j] > 0]
    # The sample.
    words = key_words(keys)
    draws = uniforms(words, salt_of(config.seed, name))
    apart_by = {"sigma": sigma, "auto": sigma if config.mode == "turns" else None}
    radius = apart_by.get(config.min_distance, config.min_distance)
    near = None
    if radius:
        apart = squared_distances(vectors, vectors)

        def near(j, k):
            return apart[j, k] < radius * radius

    limits = (config.budget, None if config.token_budget is None else tokens, config.token_budget)
    if config.mode == "turns":
        sample = sampling_oracle.turns(lists, frontiers, weights_of_targets, *limits, near)
        chosen = sample.chosen
    else:
        p = [plan.p[j] for j in support]
        part = (limits[0], None if limits[1] is None else [tokens[j] for j in support], limits[2])
        its_keys = [keys[j] for j in support]

        def near_support(j, k):
            return near(support[j], support[k])

        guard = None if near is None else near_support
        if config.mode == "coordinated":
            sample = sampling_oracle.coordinated(p, [float(draws[j]) for j in support], its_keys, *part, guard)
        elif config.mode == "top":
            sample = sampling_oracle.top(p, its_keys, *part, guard)
        else:
            uniform = counted_uniforms(config.seed, name, 10_000).tolist()
            sample = sampling_oracle.multinomial(p, uniform.__getitem__, its_keys, *part)
        chosen = [support[k] for k in sample.chosen]
    names = [representative[j] for j in chosen]
    by_id = sorted(range(len(names)), key=names.__getitem__)
    names, weights_out = [names[k] for k in by_id], [sample.weights[k] for k in by_id]
    return Truth(
        names,
        {representative[j]: plan.p[j] for j in support},
        weights_out,
        digest_of(names, [plan.p[chosen[k]] for k in by_id], weights_out),
        plan.s,
        sum(plan.truncated) + (sample.truncated_rows or 0),
        sample.tau,
        plan.cost,
        transport_oracle.effective_sample_size(plan.p, support) if support else None,
        len(support),
    )
