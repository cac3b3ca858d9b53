"""All methods on all splits, at equal token budgets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Final

import numpy as np

from tsds_stream.comparison.methods import COMPARED, METHODS, method_of
from tsds_stream.comparison.methods.product import Product, TotalVariation
from tsds_stream.comparison.near_copies import copies_of, near_copy_distance
from tsds_stream.comparison.neighbours import AllNeighbours
from tsds_stream.comparison.pool import Pool, Targets
from tsds_stream.comparison.task import Task
from tsds_stream.comparison.trial import Trial, hold_out, run_trial
from tsds_stream.comparison.vocabulary import Vocabulary
from tsds_stream.selection.arithmetic import Int64
from tsds_stream.selection.settings import SelectorConfig

MOSTLY: Final = 0.5  # a budget beyond this share of the pool leaves methods little to differ in

Show = Callable[[int, str], None]


@dataclass(frozen=True)
class Plan:
    """What is to be compared.

    Attributes:
        config: of `tsds-stream select`; one of its budgets counts. `budget` documents stand for the tokens of so many
            average documents of the pool; its seed is that of the first split, the next ones follow.
        methods: names; none: the usual ones, but for those that need texts where there are none.
        held_out: share of the targets; seeds: splits.
        near_copy: distance below which documents are copies; none: `min_distance`, or else the rule of `sigma = auto`.
        keep_copies: leave near-copies of held-out targets in the pool.
        name: of the target set.
    """

    config: SelectorConfig
    methods: Sequence[str] | None = None
    held_out: float = 0.3
    seeds: int = 5
    near_copy: float | None = None
    keep_copies: bool = False
    name: str = "default"

    def __post_init__(self) -> None:
        if not 0 < self.held_out < 1:
            raise ValueError(f"the share of targets held out must lie between 0 and 1, not {self.held_out}")
        if self.seeds < 1:
            raise ValueError(f"there must be at least 1 seed, not {self.seeds}")
        if self.near_copy is not None and not 0 <= self.near_copy <= 2:
            raise ValueError(f"the distance of near-copies must lie between 0 and 2, not {self.near_copy}")
        if (self.config.budget is None) == (self.config.token_budget is None):
            raise ValueError("give one budget: documents or tokens")
        for name in self.methods or ():
            method_of(name)


@dataclass(frozen=True)
class Comparison:
    """What came out.

    Attributes:
        plan: as it was asked; methods: as compared, without repeats, the reference first.
        documents, targets: in all; tokens: of all documents.
        token_budget: of every method; near_copy: the distance that was used.
        in_pool: targets of which a document has exactly the embedding.
        has_texts: whether perplexities were taken.
    """

    plan: Plan
    methods: Sequence[str]
    documents: int
    tokens: int
    targets: int
    token_budget: int
    near_copy: float
    in_pool: int
    has_texts: bool
    trials: Sequence[Trial]

    @property
    def reference(self) -> str:
        """The method that the others are held against: what `tsds-stream select` does with these options."""
        return self.methods[0]


def compare(
    pool: Pool,
    targets: Targets,
    plan: Plan,
    show: Show = lambda done, note: None,
    clock: Callable[[], float] = perf_counter,
) -> Comparison:
    """Run every method on every split. The same arguments give the same result (but for the seconds).

    Args:
        show: told how many selections are done, and what comes next.

    Raises:
        ValueError: nothing can be compared; the message says why.
    """
    if len(targets) < 2:
        raise ValueError(
            f"there is {len(targets)} distinct target; at least 2 are needed, to hold out one and select for another, "
            "and some 30 for an answer that holds for others"
        )
    budget = tokens_wanted(pool, plan.config)
    has_texts, names = have_texts(pool, targets), methods_of(plan, pool, targets)
    if textless := [name for name in names if method_of(name).needs_texts and not has_texts]:
        those = ", ".join(textless)
        raise ValueError(f"{those} needs the text of every document and target: leave it out of --methods")
    near_copy = plan.near_copy
    if near_copy is None:
        given = plan.config.min_distance
        near_copy = given if isinstance(given, float) else near_copy_distance(pool, targets, plan.config.calibration)
    vocabulary = None
    if pool.words is not None and targets.words is not None:
        vocabulary = Vocabulary.of(targets.words, pool.words)
    neighbours = AllNeighbours(pool, targets)
    in_pool = int((neighbours.lists(1).squared[:, 0] == 0).sum())
    copied, copies = copies_of(pool, targets, near_copy)
    trials = []
    for number in range(plan.seeds):
        seed = plan.config.seed + number
        out = hold_out(targets, plan.held_out, seed)
        left_out = np.empty(0, np.int64) if plan.keep_copies else np.unique(copies[out[copied]])
        rest = np.setdiff1d(np.arange(len(pool)), left_out)
        if (left := int(pool.tokens[rest].sum())) <= budget:
            raise ValueError(_nothing_to_choose(budget, left, "without the copies of targets held out", plan.config))
        seen = np.flatnonzero(~out)
        task = Task.of(
            pool.part(rest) if len(left_out) else pool,
            targets.part(seen),
            budget,
            near_copy,
            seed,
            _with_shortlists(plan.config, len(seen)),
            neighbours.within(seen, rest),
            plan.name,
        )
        unseen = targets.part(np.flatnonzero(out))

        def tell(done: int, name: str, before: int = number * len(names), seed: int = seed) -> None:
            show(before + done, f"seed {seed}: {name}")

        scores, taken = run_trial(task, unseen, names, vocabulary, clock, tell)
        rows: dict[str, Int64] = {name: rest[mine] for name, mine in taken.items()}
        trials.append(Trial(seed, unseen.ids, len(left_out), scores, rows))
    show(plan.seeds * len(names), "done")
    return Comparison(
        plan, names, len(pool), int(pool.tokens.sum()), len(targets), budget, near_copy, in_pool, has_texts, trials
    )


def tokens_wanted(pool: Pool, config: SelectorConfig) -> int:
    """The token budget: given, or that of `budget` average documents.

    Raises:
        ValueError: it holds the whole pool.
    """
    total = int(pool.tokens.sum())
    if config.token_budget is not None:
        budget = config.token_budget
    else:
        assert config.budget is not None
        budget = max(round(config.budget * total / max(len(pool), 1)), 1)
    if budget >= total:
        raise ValueError(_nothing_to_choose(budget, total, f"of {len(pool):,} documents", config))
    return budget


def _with_shortlists(config: SelectorConfig, targets: int) -> SelectorConfig:
    """`max_k = "auto"` goes by the number of documents where it is known, as `tsds-stream select --budget` has it."""
    if config.budget is None:
        return config
    return config.model_copy(update={"max_k": config.shortlist_length(targets)})


def methods_of(plan: Plan, pool: Pool, targets: Targets) -> list[str]:
    """The methods that are compared, in order."""
    usual = [name for name in COMPARED if have_texts(pool, targets) or not method_of(name).needs_texts]
    return ordered(plan.config, usual if plan.methods is None else plan.methods)


def have_texts(pool: Pool, targets: Targets) -> bool:
    """Whether all documents and targets have one."""
    return pool.words is not None and targets.words is not None


def ordered(config: SelectorConfig, methods: Sequence[str]) -> list[str]:
    """The methods to compare, each once, the reference first: the one that selects as the options say.

    Where none of those asked for does, it is the first of all methods that does; `default` always does.
    """
    asked = list(dict.fromkeys(methods))
    same = [
        name
        for name in [*asked, *(name for name in METHODS if name != "default"), "default"]
        if isinstance(method := method_of(name), Product | TotalVariation) and method.changed(config) == config
    ]
    return [same[0], *(name for name in asked if name != same[0])]


def _nothing_to_choose(budget: int, total: int, of_what: str, config: SelectorConfig) -> str:
    option = "--budget" if config.token_budget is None else "--token-budget"
    return (
        f"{option}: {budget:,} tokens hold the whole pool ({total:,} tokens {of_what}), so every method would take "
        "everything; give less, or more documents"
    )
