"""(d) Ten million: the speed, the memory and the exactness of a long stream."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Final

import numpy as np

from benchmarks.evidence import mixes
from benchmarks.evidence.corpora.text import text_corpus
from benchmarks.evidence.pictures import Panel, draw_panels
from benchmarks.evidence.results import Finding, Results
from benchmarks.evidence.scale.brute_force import NearestRows, equal_densities, rows_of, squared_to
from benchmarks.evidence.scale.derived import FARTHEST, NEAREST, DerivedStream
from benchmarks.evidence.scale.large_pools import without_targets
from benchmarks.evidence.table import Column, Table
from benchmarks.measuring import own_memory, watched_memory
from tsds_stream import Revision, Selector, SelectorConfig
from tsds_stream.comparison.intervals import Interval
from tsds_stream.selection.arithmetic import Float32, Float64, UInt64, canonical

TARGETS, BUDGET, BLOCK = 200, 1000, 50_000
COURSE: Final = (100_000, 200_000, 500_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000)
COMPARED: Final = (1_000_000, 5_000_000, 10_000_000)
_REFRESH_EVERY: Final = 2  # blocks
_DENSITIES: Final = 500
_QUICK: Final = 100  # a smoke test has a hundredth of everything
CONDITION: Final = f"{TARGETS} targets, {BUDGET:,} selected, a refresh every {_REFRESH_EVERY * BLOCK:,} documents"


@dataclass
class State:
    """What is compared after some documents: the selections of two modes, and the shortlists."""

    revision: Revision
    turns: Revision
    squared: Float64
    words: UInt64

    @classmethod
    def of(cls, selector: Selector) -> State:
        revision = selector.refresh()
        assert revision is not None
        turns = selector.preview(mode="turns", min_distance="auto")
        return cls(revision, turns, *rows_of(selector))


@dataclass
class Stretch:
    """Since the last stop: seconds of adding, and of each refresh; documents of the old selection that left."""

    adding: float = 0.0
    refreshes: list[float] = field(default_factory=list)
    left: list[float] = field(default_factory=list)

    def figures(self, documents: int) -> dict[str, float]:
        spent = self.adding + sum(self.refreshes)
        turnover = {"turnover": float(np.mean(self.left))} if self.left else {}
        return turnover | {
            "documents per second": documents / spent,
            "add": 1e6 * self.adding / documents,
            "refresh": 1e6 * sum(self.refreshes) / documents,
            "median": float(np.median(self.refreshes)),
            "slowest": max(self.refreshes),
        }


def row_name(documents: int) -> str:
    return f"{documents:,} documents"


def run(seed: int, quick: bool) -> list[Finding]:
    """The stream once, with refreshes; then its blocks backwards, without any, and by brute force."""
    part = _QUICK if quick else 1
    course, compared = [n // part for n in COURSE], [n // part for n in COMPARED]
    corpus = text_corpus()
    mix = mixes.TRIED if quick else mixes.text(seed)
    asked, rest = without_targets(corpus, mix, seed, TARGETS)
    real = np.asarray(corpus.vectors[rest[: len(rest) // part]])
    stream = DerivedStream(real, course[-1], BLOCK // part, seed)
    config = SelectorConfig(budget=BUDGET // (10 if quick else 1), mode="coordinated")
    targets = np.asarray(corpus.vectors[asked])
    figures, states, sigma = _streamed(stream, targets, config, course, compared)
    batches, nearest = _from_scratch(stream, targets, config.model_copy(update={"sigma": sigma}), compared)
    for documents in compared:
        state, batch, brute = states[documents], State.of(batches[documents]), nearest[documents]
        same = (state.squared == brute.squared) & (state.words == brute.words).all(2)
        figures[documents] |= {
            "exact": float(state.revision.exact),
            "truncated": float(state.revision.truncated),
            "turns exact": float(state.turns.exact),
            "turns truncated": float(state.turns.truncated),
            "same selection": float(state.revision.digest == batch.revision.digest),
            "same turns": float(state.turns.digest == batch.turns.digest),
            "same shortlists": float(same.all(1).mean()),
        }
    return [Finding(CONDITION, row_name(n * part), found) for n, found in figures.items()]


def _streamed(
    stream: DerivedStream, targets: Float32, config: SelectorConfig, course: list[int], compared: list[int]
) -> tuple[dict[int, dict[str, float]], dict[int, State], float]:
    """Figures at every stop of the course, states where they are compared, and the sigma that was frozen."""
    figures: dict[int, dict[str, float]] = {}
    states: dict[int, State] = {}
    before, most, stopped, stretch = own_memory(), 0, 0, Stretch()
    selector = Selector(targets, config)
    for number in range(stream.blocks):
        rows, names, documents = stream.vectors(number), stream.names(number), (number + 1) * stream.block
        with watched_memory() as memory:
            started = perf_counter()
            selector.add(names, rows)
            stretch.adding += perf_counter() - started
            if documents in course or (number + 1) % _REFRESH_EVERY == 0:
                started = perf_counter()
                revision = selector.refresh()
                stretch.refreshes.append(perf_counter() - started)
                assert revision is not None
                if revision.number > 1:
                    stretch.left.append(len(revision.removed) / len(revision.ids))
        most = max(most, memory.most - before - rows.nbytes)
        if documents in course:
            figures[documents] = stretch.figures(documents - stopped) | {"memory": most / 2**20}
            stopped, stretch = documents, Stretch()
        if documents in compared:
            states[documents] = State.of(selector)
            some = selector.probabilities()[0][:_DENSITIES]
            figures[documents]["same densities"] = equal_densities(selector, some)
    assert selector.sigma is not None
    return figures, states, selector.sigma


def _from_scratch(
    stream: DerivedStream, targets: Float32, config: SelectorConfig, compared: list[int]
) -> tuple[dict[int, Selector], dict[int, NearestRows]]:
    """For each prefix a selector that got its blocks last to first, and the nearest points by products with all."""
    batches = {documents: Selector(targets, config) for documents in compared}
    one = batches[compared[0]]
    queries = one.queries[1]
    nearest = {documents: NearestRows(len(queries), one.max_k) for documents in compared}
    for number in reversed(range(stream.blocks)):
        rows, names = stream.vectors(number), stream.names(number)
        points = canonical(rows)
        squared = squared_to(queries, points)
        for documents in compared:
            if number * stream.block < documents:
                batches[documents].add(names, rows)
                nearest[documents].show(points, squared)
    return batches, nearest


def notes(results: Results) -> list[str]:
    """How many of the comparisons held."""
    checks = ("same selection", "same turns", "same shortlists", "same densities")
    found = [value for row in results.methods(CONDITION) for one in checks
             for value in results.values(CONDITION, row, one).values()]  # fmt: skip
    held = sum(value == 1.0 for value in found)
    lines = [f"{held} of {len(found)} comparisons are equal to the bit in full.", ""]
    for mode, figure in (("coordinated", "truncated"), ("turns", "turns truncated")):
        for row in results.methods(CONDITION):
            cut = results.values(CONDITION, row, figure)
            if any(cut.values()):
                lines.append(
                    f"* Not exact: after {row}, mode `{mode}`, {sum(map(bool, cut.values()))} of {len(cut)} seeds have "
                    f"shortlists that end before the selection does (at most {max(cut.values()):.0f} of {TARGETS}). "
                    "Stream and batch agree, and both say so; a larger `max_k` could give another selection."
                )
    return [*lines, ""]


def draw(results: Results, path: Path) -> None:
    """Time for a document, time for a refresh, and memory along the stream."""
    rows = [(float(n), row_name(n)) for n in COURSE if row_name(n) in results.methods(CONDITION)]

    def height(row: str, figure: str) -> Interval | None:
        found = results.mean(CONDITION, row, figure)
        return found and Interval(found.mean, None, None)  # so few seeds have no interval worth drawing

    along = "documents so far"
    times, waits = ("add", "refresh"), ("median", "slowest")
    draw_panels(
        path,
        [
            Panel("Time for a document", (along, "µs"), rows, times, height, logarithmic=True, from_zero=True),
            Panel("Time of a refresh", (along, "s"), rows, waits, height, logarithmic=True, from_zero=True),
            Panel("Memory of the selector", (along, "MB"), rows, ("memory",), height, logarithmic=True, from_zero=True),
        ],
    )


TABLE: Final = Table(
    name="ten_million",
    title="Ten million documents",
    asks=f"""What a long stream costs, and whether its selection is still the exact one at the end. {COURSE[-1]:,}
vectors of 256 dimensions for each seed: the 305,000 real passages, and vectors that lie {NEAREST} to {FARTHEST} from a
real one on the way to another one, mixed; nothing is embedded, and making the vectors is not counted. Defaults, mode
`coordinated`, scope `candidates`. Each seed is a process with one thread for products, two at a time. Figures
are of the stretch since the row before; memory is what the process allocated above its start, without the block that is
handed over. Turnover: share of the selection that a refresh replaces. Same selection: whether the digest of ids,
probabilities and weights (and that of mode `turns` with a minimal distance) is that of a selector which got the same
documents last block first and was asked once. Same shortlists: share of the targets whose distances and keys are all
those that float64 products of every document with every target give. Same densities: share of {_DENSITIES} documents
with mass whose density is that of float64 products with all candidates.""",
    seeds=2,
    timed=("documents per second", "add", "refresh", "median", "slowest", "memory"),
    run=run,
    prepare=text_corpus,
    draw=draw,
    columns=(
        Column("documents per second", "documents/s", ",.0f"),
        Column("add", "add, µs a document", ".1f"),
        Column("refresh", "refresh, µs a document", ".1f"),
        Column("median", "a refresh, s", ".2f"),
        Column("slowest", "the slowest, s", ".2f"),
        Column("turnover", "turnover", ".1%"),
        Column("memory", "memory, MB", ".0f"),
        Column("exact", "says it is exact", ".0%"),
        Column("turns exact", "`turns` says so", ".0%"),
        Column("same selection", "same selection", ".0%"),
        Column("same turns", "same, `turns`", ".0%"),
        Column("same shortlists", "same shortlists", ".0%"),
        Column("same densities", "same densities", ".0%"),
    ),
    references=(),
    notes=notes,
    folder="scale",
)
