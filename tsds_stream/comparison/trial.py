"""One split of the targets: a part is held out, every method selects for the rest, and what it took is measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tsds_stream.comparison.measures import closeness, distinct_share, log_perplexity, overlap, tokens_of
from tsds_stream.comparison.methods import method_of
from tsds_stream.comparison.pool import Pool, Targets, hashed
from tsds_stream.comparison.task import Task
from tsds_stream.comparison.vocabulary import Vocabulary
from tsds_stream.selection.arithmetic import Bool, Int64, salt_of, uniforms


@dataclass(frozen=True)
class Score:
    """What one method took for one split, and what that is worth for the targets held out.

    Attributes:
        documents, tokens: that were taken.
        log_perplexity: natural logarithm; none without texts.
        transport_cost, coverage: distances, see `Closeness`.
        distinct: share of the documents that is no near-copy of another.
        overlap: share of the documents that the reference took, too.
        seconds: that the selection took; embedding, and the distances that methods share, not counted.
        reasons: why a selection of the product was not exact.
    """

    documents: int
    tokens: int
    log_perplexity: float | None
    transport_cost: float
    coverage: float
    distinct: float
    overlap: float
    seconds: float
    reasons: tuple[str, ...] = ()

    @property
    def loss(self) -> float:
        """What is compared, lower is better: the log of the perplexity, or of the transport cost without texts."""
        return float(np.log(self.transport_cost)) if self.log_perplexity is None else self.log_perplexity


@dataclass(frozen=True)
class Trial:
    """One split.

    Attributes:
        held_out: ids of the targets that no method saw.
        left_out: documents that were taken out of the pool as near-copies of those.
        scores, taken: per method; (k,) int64 rows of the whole pool.
    """

    seed: int
    held_out: Sequence[str]
    left_out: int
    scores: Mapping[str, Score]
    taken: Mapping[str, Int64]


def hold_out(targets: Targets, share: float, seed: int) -> Bool:
    """(M,) bool: the targets held out: `share` of all and, as nearly as can be, of each group; at least 1, never all.

    A hash of seed and id orders the targets of a group, so the order in which they came does not matter.
    """
    count = min(max(round(share * len(targets)), 1), len(targets) - 1)
    draws = uniforms(hashed(targets.ids), salt_of(seed, "held out"))
    order = sorted(range(len(targets)), key=lambda row: (targets.groups[row], draws[row]))
    place = np.arange(len(targets))
    out = np.zeros(len(targets), np.bool_)
    out[order] = (place + 1) * count // len(targets) > place * count // len(targets)
    return out


def run_trial(
    task: Task,
    held_out: Targets,
    names: Sequence[str],
    vocabulary: Vocabulary | None,
    clock: Callable[[], float],
    tell: Callable[[int, str], None] = lambda done, name: None,
) -> tuple[dict[str, Score], dict[str, Int64]]:
    """Scores and rows of the task's pool, per method; the first method is the reference of `overlap`.

    Args:
        tell: how many methods are done, and the next one.

    Raises:
        ValueError: a method took nothing.
    """
    scores, taken = {}, {}
    reference: Pool | None = None
    for done, name in enumerate(names):
        tell(done, name)
        started = clock()
        mine = task.afresh()
        rows = method_of(name).select(mine)
        seconds = clock() - started
        if not len(rows):
            raise ValueError(f"{name} took nothing: every document exceeds the budget of {task.budget:,} tokens")
        selected = task.pool.part(rows)
        if reference is None:
            reference = selected
        score = measured(selected, reference, held_out, task.near_copy, vocabulary, seconds)
        scores[name] = replace(score, reasons=tuple(sorted(mine.reasons)))
        taken[name] = rows
    return scores, taken


def measured(
    selected: Pool,
    reference: Pool,
    held_out: Targets,
    near_copy: float,
    vocabulary: Vocabulary | None,
    seconds: float = 0.0,
) -> Score:
    """All that is measured of a selection."""
    near = closeness(selected, held_out)
    return Score(
        documents=len(selected),
        tokens=tokens_of(selected, np.arange(len(selected))),
        log_perplexity=None if vocabulary is None else log_perplexity(selected, held_out, vocabulary),
        transport_cost=near.transport_cost,
        coverage=near.coverage,
        distinct=distinct_share(selected, near_copy),
        overlap=overlap(selected.keys, reference.keys),
        seconds=seconds,
    )
