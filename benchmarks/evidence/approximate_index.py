"""(c) The approximate index: what an HNSW graph misses of the densities, and what that does to the selection."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Final

import numpy as np

from benchmarks.evidence import mixes
from benchmarks.evidence.corpora.text import text_corpus
from benchmarks.evidence.pictures import Panel, draw_panels
from benchmarks.evidence.results import Finding, Results
from benchmarks.evidence.scale.large_pools import CLUSTERS, CROWDS, NO_COPIES, LargePool, large_pool
from benchmarks.evidence.table import Column, Table
from benchmarks.measuring import timed
from tsds_stream import Revision, Selector, SelectorConfig
from tsds_stream.comparison.intervals import Interval
from tsds_stream.selection.arithmetic import Bool, Float64, Int64
from tsds_stream.selection.close_pairs import Points, close_pairs
from tsds_stream.selection.density import Density, ExactDensity
from tsds_stream.selection.fold import Fold
from tsds_stream.selection.graph_density import GraphDensity
from tsds_stream.selection.hnsw import HnswParameters

EFS: Final = (32, 64, 100, 128, 256)  # 100 is the product's
DEFAULT_EF: Final = 100
CONDITIONS: Final = (NO_COPIES, CLUSTERS, CROWDS)
DOCUMENTS, TARGETS, BUDGET, SAMPLE = 250_000, 200, 1000, 2000
MAX_K: Final = 4096  # no shortlist is to end inside a crowd: that would be another error than the index's
MORE: Final = 10_000  # kde_k of a further row: more than the copies of a crowd
EXACT, NONE = "exact (the fold)", "no density (uniform)"
_BLOCK: Final = 16_384
_FEW: Final = 0.01  # of the mass: a total variation that nobody would notice


@dataclass(frozen=True)
class Answer:
    """A selection and what is behind it: p by document, and the density of the points that are looked at."""

    revision: Revision
    probabilities: dict[str, float]
    densities: Float64


def ef_name(ef: int, kde_k: int | None = None) -> str:
    return f"ef {ef}" if kde_k is None else f"ef {ef}, kde_k {kde_k:,}"


def run(seed: int, quick: bool) -> list[Finding]:
    """Every breadth of the search, in pools without copies, with clusters, and with crowds."""
    mix, documents = (mixes.TRIED, 6000) if quick else (mixes.text(seed), DOCUMENTS)
    found: list[Finding] = []
    for condition in CONDITIONS:
        pool = large_pool(text_corpus(), mix, seed, documents, TARGETS, condition)
        for method, figures in compared(pool, seed, SAMPLE // (10 if quick else 1), BUDGET // (10 if quick else 1)):
            found.append(Finding(condition, method, figures))
    return found


def compared(pool: LargePool, seed: int, sample: int, budget: int) -> Iterator[tuple[str, dict[str, float]]]:
    """Figures of the exact index, of the graph by the breadth of its search, and of a plan without densities."""
    selector = _filled(pool, budget)
    selector.refresh()
    core, sigma, solution = selector._core, selector.sigma, selector._last().solution
    assert sigma is not None
    assert solution is not None
    points = core.pool.store.live()
    drawn = np.random.default_rng((seed, 2)).choice(points, min(sample, len(points)), replace=False)
    looked_at = np.union1d(drawn, solution.used)
    index = np.zeros(core.pool.store.size, np.int64)
    index[points] = core.pool.store.multiplicity[points]

    def ready(density: Density) -> Density:
        density.index(index)
        return density

    density = ready(ExactDensity(core.pool.store, sigma))
    making, _ = timed(partial(density.settle, points[:1]))  # fits the fold and makes all images
    settling, _ = timed(partial(density.settle, looked_at))
    truth = _true_pairs(selector, looked_at, points, sigma)
    exact = _answer(selector, density, looked_at)
    counting = {"points": float(len(points)), "sigma": sigma, "neighbours": len(truth.owners) / len(looked_at)}
    alike = {"recall": 1.0, "recall, plan": 1.0, "error": 0.0, "worst": 0.0, "saturated": 0.0}
    yield EXACT, _speed(making.cpu, settling.cpu, looked_at) | counting | alike | _against(exact, exact)

    in_plan = np.isin(looked_at[truth.owners], solution.used)
    graph = GraphDensity(core.pool.store, sigma, selector.config.kde_k, HnswParameters(threads=1))
    making, _ = timed(partial(ready, graph))
    for ef, kde_k in [*((ef, None) for ef in EFS), (DEFAULT_EF, MORE)]:
        graph._kde_k = kde_k or selector.config.kde_k
        graph.graph._graph.index.set_ef(ef)  # a graph is built once: the breadth of a search is no part of it
        graph.unsettle(np.flatnonzero(graph.settled))
        settling, _ = timed(partial(graph.settle, looked_at))
        found = truth.counted_by(graph)
        saturated = graph.saturated / len(looked_at)
        answer = _answer(selector, graph, looked_at)
        error = np.abs(answer.densities - exact.densities) / exact.densities
        figures = {
            "recall": float(found.mean()) if len(found) else 1.0,
            "recall, plan": float(found[in_plan].mean()) if in_plan.any() else 1.0,
            "error": float(error.mean()),
            "worst": float(error.max()),
            "saturated": saturated,
        }
        yield ef_name(ef, kde_k), _speed(making.cpu, settling.cpu, looked_at) | figures | _against(answer, exact)

    selector.reconfigure(selector.config.model_copy(update={"regularizer": "uniform"}))
    without = _against(_answer(selector, None, looked_at), exact)
    yield NONE, {name: without[name] for name in ("total variation", "overlap")}


def _filled(pool: LargePool, budget: int) -> Selector:
    """A selector that holds the whole pool."""
    config = SelectorConfig(
        budget=budget,
        mode="coordinated",
        scope="corpus",
        capacity=2 * len(pool.documents),
        index="exact",
        max_k=MAX_K,
    )
    selector = Selector(pool.targets, config)
    names = [str(k) for k in range(len(pool.documents))]
    for start in range(0, len(names), _BLOCK):
        selector.add(names[start : start + _BLOCK], pool.documents[start : start + _BLOCK])
    if not selector.calibrated:
        selector.calibrate()
    return selector


@dataclass(frozen=True, eq=False)
class TruePairs:
    """Every pair within sigma of a point that is looked at and another one: positions in `looked_at`, and slots."""

    selector: Selector
    looked_at: Int64
    owners: Int64
    neighbours: Int64

    def counted_by(self, density: GraphDensity) -> Bool:
        """Which of the pairs the density knows after it was settled."""
        rows = np.full(self.selector._core.pool.store.size, -1, np.int64)
        rows[self.looked_at] = np.arange(len(self.looked_at))
        pairs = density._pairs
        return np.isin(self._number(self.owners, self.neighbours), self._number(rows[pairs._owner], pairs._neighbour))

    def _number(self, owners: Int64, slots: Int64) -> Int64:
        return owners * self.selector._core.pool.store.size + slots


def _true_pairs(selector: Selector, looked_at: Int64, points: Int64, sigma: float) -> TruePairs:
    store = selector._core.pool.store
    fold = Fold.fit(store.vectors[points[:: max(1, len(points) // 8192)]], sigma)
    left, right = (Points.of(fold, store.vectors[slots], store.norms[slots]) for slots in (looked_at, points))
    i, j, _ = close_pairs(fold, left, right, sigma)
    others = looked_at[i] != points[j]  # a point is its own neighbour whether the graph finds it or not
    return TruePairs(selector, looked_at, i[others], points[j[others]])


def _answer(selector: Selector, density: Density | None, looked_at: Int64) -> Answer:
    """The selection of the present state with these densities."""
    values = np.empty(0) if density is None else density.values(looked_at).copy()
    core = selector._core
    core.density, core.hint, core.changed = density, None, True
    revision = selector.refresh()
    assert revision is not None
    names, p = selector.probabilities()
    return Answer(revision, dict(zip(names, p.tolist(), strict=True)), values)


def _against(answer: Answer, exact: Answer) -> dict[str, float]:
    p, q = answer.probabilities, exact.probabilities
    return {
        "exact": float(answer.revision.exact),
        "total variation": 0.5 * sum(abs(p.get(name, 0.0) - q.get(name, 0.0)) for name in p.keys() | q.keys()),
        "overlap": len(set(answer.revision.ids) & set(exact.revision.ids)) / len(exact.revision.ids),
    }


def _speed(making: float, settling: float, looked_at: Int64) -> dict[str, float]:
    return {"making": making, "asking": 1e6 * settling / len(looked_at)}


def notes(results: Results) -> list[str]:
    """From which breadth on nobody would notice, where none suffices, and which index is the faster one."""
    return [*(_note(results, condition) for condition in results.conditions), ""]


def _note(results: Results, condition: str) -> str:
    def over_seeds(choose: Callable[[Iterable[float]], float], method: str, figure: str) -> float:
        return choose(results.values(condition, method, figure).values())

    usual, more = ef_name(DEFAULT_EF), ef_name(DEFAULT_EF, MORE)
    fine = [ef for ef in EFS if over_seeds(max, ef_name(ef), "total variation") <= _FEW]
    enough = f"from ef {fine[0]} on" if fine and fine == list(EFS[-len(fine) :]) else "not at every ef"
    text = (
        f"* **{condition}**: in every seed the total variation to the exact p is at most {_FEW:.0%} {enough}. "
        f"With the default, ef {DEFAULT_EF}, the densities behind the plan miss up to "
        f"{1 - over_seeds(min, usual, 'recall, plan'):.2%} of their pairs, the worst density is off by "
        f"{over_seeds(max, usual, 'worst'):.1%}, and {over_seeds(min, usual, 'overlap'):.1%} or more of the exact "
        "selection are selected. "
    )
    if over_seeds(max, usual, "saturated"):
        text += (
            f"Up to {over_seeds(max, usual, 'saturated'):.1%} of the points have more neighbours than kde_k; with "
            f"kde_k {MORE:,} up to {1 - over_seeds(min, more, 'recall, plan'):.2%} of the pairs are missed. "
        )
    making, asking = ([over_seeds(fmean, one, figure) for one in (EXACT, usual)] for figure in ("making", "asking"))
    return text + (
        f"Making the index takes {making[0]:.1f} s for the fold and {making[1]:.1f} s for the graph, a density "
        f"{asking[0]:.0f} µs and {asking[1]:.0f} µs."
    )


def draw(results: Results, path: Path) -> None:
    """What is missed, and what that does, along the breadth of the search."""
    along = [(float(ef), ef_name(ef)) for ef in EFS]

    def share(figure: str, whole: float = 0.0) -> Callable[[str, str], Interval | None]:
        def worst(ef: str, condition: str) -> Interval | None:
            values = results.values(condition, ef, figure).values()
            return Interval(max(100 * abs(whole - value) for value in values), None, None) if values else None

        return worst

    breadth = "ef, breadth of the search"
    draw_panels(
        path,
        [
            Panel("Missed by the graph (worst seed)", (breadth, "pairs within sigma, %"), along, CONDITIONS,
                  share("recall, plan", 1.0), from_zero=True),
            Panel("Error of the densities (worst seed)", (breadth, "mean relative error, %"), along, CONDITIONS,
                  share("error"), from_zero=True),
            Panel("What that changes (worst seed)", (breadth, "of the exact selection missing, %"), along, CONDITIONS,
                  share("overlap", 1.0), from_zero=True),
        ],
    )  # fmt: skip


TABLE: Final = Table(
    name="approximate_index",
    title="The approximate index",
    asks=f"""What an HNSW graph misses, and what that does to a selection. {DOCUMENTS:,} documents, scope `corpus`,
{TARGETS} targets of one mix a seed, {BUDGET:,} selected, defaults otherwise (mode `coordinated`, kde_k 1,000),
but max_k {MAX_K:,}, so that no shortlist ends inside a crowd. Without copies; with 10 to 100 near-copies of some
originals, two thirds of the pool; with {DOCUMENTS // 100:,} near-copies of each of 20 originals of the targets'
domains, a fifth of the pool. One graph of the product's own index (M 16, ef of the construction 100) for each pool,
searched with several ef. Looked at: {SAMPLE:,} random points, and those whose density shaped the plan. Recall: share
of the pairs within sigma that the graph finds, a point and itself not counted. Error: of the density, relative.
Saturated: points with more neighbours than kde_k, of which the nearest count. Total variation and overlap: of p and of
the selected documents with those of exact densities; the last row, which has no densities at all, is the scale to read
them by. Times are of one thread: seconds for all points, µs for a density.""",
    seeds=4,
    timed=("making", "asking"),
    run=run,
    prepare=text_corpus,
    draw=draw,
    columns=(
        Column("sigma", "sigma", ".3f"),
        Column("neighbours", "neighbours", ".1f"),
        Column("recall", "recall", ".3%"),
        Column("recall, plan", "recall, plan", ".3%"),
        Column("error", "error", ".3%"),
        Column("worst", "worst error", ".1%"),
        Column("saturated", "saturated", ".2%"),
        Column("exact", "says it is exact", ".0%"),
        Column("overlap", "overlap", ".2%"),
        Column("making", "index, s", ".1f"),
        Column("asking", "a density, µs", ".0f"),
    ),
    compared="total variation",
    references=(EXACT,),
    difference="100 × total variation of p",
    unit=100.0,
    notes=notes,
    folder="scale",
)
