"""From probabilities to a selection, in the configured mode."""

from __future__ import annotations

import numpy as np

from tsds_stream.selection.arithmetic import Float64, salt_of, uniforms
from tsds_stream.selection.planning import Problem, Solution
from tsds_stream.selection.points import PointStore
from tsds_stream.selection.sampling import Sample, coordinated, multinomial, top
from tsds_stream.selection.settings import SelectorConfig
from tsds_stream.selection.spacing import Remembered, Spacing
from tsds_stream.selection.turns import turns


def draw(
    problem: Problem,
    solution: Solution,
    store: PointStore,
    config: SelectorConfig,
    sigma: float | None,
    name: str,
    before: Remembered | None = None,
) -> Sample:
    """Take the selection; `Sample.chosen` are slots of the store.

    Args:
        before: an earlier draw from the same store; changes the speed, never the result.
    """
    radius = config.spacing(sigma)
    if config.mode == "turns":
        spacing = None
        if radius is not None:
            before = None if before is None else before.of_those_left(radius, store.words)
            spacing = Spacing(store.vectors, store.norms, radius, store.words, before)
        return turns(
            problem.rows, problem.weights, store.size, config.budget, problem.tokens, config.token_budget, spacing
        )
    support = solution.support
    p: Float64 = solution.probabilities[support]
    words = store.words[support]
    tokens = None if problem.tokens is None else problem.tokens[support]
    spacing = None if radius is None else Spacing(store.vectors[support], store.norms[support], radius)
    limits = (config.budget, tokens, config.token_budget)
    if config.mode == "multinomial":
        sample = multinomial(p, words, config.seed, name, *limits)
    elif config.mode == "top":
        sample = top(p, words, *limits, spacing)
    else:
        draws = uniforms(words, salt_of(config.seed, name))  # of this seed: a preview may ask for another one
        sample = coordinated(p, draws, words, *limits, spacing)
    return Sample(
        support[sample.chosen] if len(support) else np.empty(0, np.int64),
        sample.weights,
        sample.inclusion,
        sample.tau,
        sample.short_of_budget,
        sample.approximate_inclusion,
        sample.truncated_rows,
    )
