"""The whole demonstration: collect, stream, show, prove, draw, and say where to go from here."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Final

from tsds_stream.demo import plots
from tsds_stream.demo.checking import Verdict, check
from tsds_stream.demo.corpus import ENOUGH, TOPIC, TOPIC_MODULES, Corpus, Root, collect
from tsds_stream.demo.place import Place
from tsds_stream.demo.samples import near_duplicates, samples, shares
from tsds_stream.demo.script import REPOSTS, Script, choose_targets, write_lines, write_script
from tsds_stream.demo.streaming import SET, Outcome, stream
from tsds_stream.demo.telling import LiveTable, tell_commands, tell_document, tell_sources
from tsds_stream.embedding.base import Embedder
from tsds_stream.embedding.factory import create
from tsds_stream.embedding.settings import StaticSettings
from tsds_stream.exit_status import CommandError, ExitStatus
from tsds_stream.records import Json
from tsds_stream.selection.revision import Revision
from tsds_stream.selection.settings import SelectorConfig
from tsds_stream.streams.revisions import open_revision
from tsds_stream.summary import REASONS
from tsds_stream.terminal import Page, count, progress

FEWEST: Final = 100  # documents, and
FEWEST_TARGETS: Final = 10
_QUESTION: Final = "Open a connection to an HTTP server, send a request and read the response."


def demonstrate(place: Place, config: SelectorConfig, documents: int, roots: Sequence[Root], page: Page) -> ExitStatus:
    """Run it in `place`, with at most so many documents found below `roots`.

    Returns:
        OK, or UNEXPECTED when the proof fails.

    Raises:
        CommandError: there is too little text, the directory is not ours, or it was interrupted.
    """
    began = perf_counter()
    with place.claimed():
        corpus = _collect(roots, documents, config.seed, page)
        script, targets = write_script(corpus.documents, config.seed), choose_targets(corpus.topic, config.seed)
        config = config.model_copy(update={"calibration": calibration(len(corpus.documents))})
        write_lines(place.documents, script.events)
        write_lines(place.targets, targets)
        _tell_plan(corpus, script, targets, config, page)
        table = LiveTable()
        table.header()
        outcome = stream(place, script, config, table.row)
        revision = outcome.selector.refresh()
        assert revision is not None
        embedder = create(StaticSettings())
        best = _tell_selection(outcome, revision, corpus, script, embedder, page)
        verdict = _prove(place, script, targets, config, embedder, page)
        _draw(place, outcome, page)
        digests = {"digest": verdict.published, "recomputed": verdict.recomputed, "exact": not verdict.reasons}
        place.say({"seed": config.seed, "documents": len(corpus.documents), "records": len(script.events), **digests})
        page.heading("Look around (copy and paste)")
        tell_commands(page, commands(place, best, config, outcome.sights[-1].number))
        page.line("")
        page.line(f"Done in {perf_counter() - began:.0f} seconds; everything is in {place.root}.")
    return ExitStatus.UNEXPECTED if verdict.broken else ExitStatus.OK


def calibration(documents: int) -> int:
    """Documents after which sigma is frozen: early enough that most revisions, and the last in any case, are exact."""
    return max(1, min(3_000, documents // 4))


def commands(place: Place, best: str, config: SelectorConfig, last: int) -> list[tuple[str, str]]:
    """What to try next on the directory: (what for, command)."""
    program = _program()
    selection, state = shlex.quote(str(place.selection)), shlex.quote(str(place.state))
    documents, targets, again = (shlex.quote(str(path)) for path in (place.documents, place.targets, place.again))
    double = 2 * (config.budget or 1)
    seed = f" --seed {config.seed}" if config.seed else ""
    batch = f"--budget {config.budget} --calibration {config.calibration}{seed}"
    return [
        ("the revisions, and the best documents of the newest", f"{program} inspect {selection}"),
        ("what the last revision changed", f"{program} inspect {selection} --diff {max(1, last - 1)} {last}"),
        ("why this document is selected", f"{program} explain {shlex.quote(best)} --state {state}"),
        ("how a document would do that nobody has seen", f'{program} explain --text "{_QUESTION}" --state {state}'),
        ("what twice the budget would select", f"{program} preview --budget {double} --state {state}"),
        (
            "the same selection in one go, by another way: compare the digest",
            f"{program} select --documents {documents} --targets {targets} {batch} --output {again}",
        ),
    ]  # fmt: skip


def _collect(roots: Sequence[Root], documents: int, seed: int, page: Page) -> Corpus:
    page.line(
        "tsds-stream demo: documents arrive, and the best ones for a task are kept, at every moment.", style="bold"
    )
    page.heading("1. The text")
    began = perf_counter()
    with progress("  Reading documentation", documents, "pages") as bar:
        corpus = collect(roots, documents, seed, bar.update)
    if len(corpus.documents) < FEWEST or len(corpus.topic) < FEWEST_TARGETS:
        raise CommandError(
            f"found only {count(len(corpus.documents), 'document')} and {count(len(corpus.topic), 'target')}: this "
            "Python comes without the sources of its standard library, which the demonstration reads",
            ExitStatus.INPUT,
        )
    page.line(
        f"  {len(corpus.documents):,} pieces of documentation of {corpus.packages} packages of this Python, from "
        f"{corpus.files:,} files (read in {perf_counter() - began:.1f} s; nothing was imported, run or downloaded)."
    )
    if len(corpus.documents) < min(ENOUGH, documents):
        page.warning(f"that is little: fewer than {ENOUGH:,}. It all works the same, with less to choose from.")
    return corpus


def _tell_plan(corpus: Corpus, script: Script, targets: Sequence[Json], config: SelectorConfig, page: Page) -> None:
    page.line(
        f"  The task: {TOPIC}, told by {len(targets)} examples, the documentation of "
        f"{', '.join(TOPIC_MODULES[:4])}, …: {len(corpus.topic)} pieces that are held out of the documents."
    )
    popular = len(set(script.originals.values()))
    page.line(
        f"  The stream: all documents in random order; {popular} popular ones are reposted {REPOSTS} times "
        f"each, every other time slightly changed; {script.new_versions} get a new version, {script.retractions} are "
        "retracted."
    )
    page.heading(f"2. The stream: at every moment the best {config.budget}")
    for title, meaning in (
        ("cost", "mean distance of a target to its documents: falls"),
        ("replaced", "share of the selection that has left: falls"),
        ("reposts kept out", "of selected documents: arrived, and not selected as well"),
        ("exact", f"equal to a batch run: once sigma is frozen, after {config.calibration:,} documents"),
    ):
        page.line(f"  {title:<16}  {meaning}", style="dim")
    page.line("")


def _tell_selection(
    outcome: Outcome, revision: Revision, corpus: Corpus, script: Script, embedder: Embedder, page: Page
) -> str:
    """Also returns the id of the first sample."""
    texts = script.last_records()
    page.heading("3. The selection: where it comes from")
    tell_sources(
        page, shares(revision, corpus.documents, script.originals, 8), len(corpus.documents), max(len(revision), 1)
    )
    within = (revision.sigma or 0.0) / 2
    flat = outcome.selector.preview(min_distance=None)
    crowded = [near_duplicates(one, texts, embedder, within) for one in (revision, flat)]
    page.line("")
    page.line(
        f"  Near-duplicates in it (nearer than {within:.2f} to another member): {crowded[0]} of {len(revision):,}. "
        f"Without a distance to keep (min_distance = none) it would be {crowded[1]}."
    )
    page.heading("4. A reason for every document")
    chosen = samples(outcome.selector, revision, script.originals)
    for sample in chosen:
        why = outcome.selector.explain(sample.id).sentences()
        tell_document(page, sample.title, sample.id, texts[sample.id], why)
    return chosen[0].id


def _prove(
    place: Place, script: Script, targets: Sequence[Json], config: SelectorConfig, embedder: Embedder, page: Page
) -> Verdict:
    page.heading("5. The proof")
    verdict = check(open_revision(place.selection, SET), script.last_records(), targets, config, embedder)
    page.line(f"  published by the stream, read back from disk: {verdict.published}")
    page.line(f"  batch over the last version of {verdict.documents:,} documents, shuffled: {verdict.recomputed}")
    if verdict.broken:
        page.line(
            f"  FAILED: the digests differ ({count(verdict.different, 'document')} in only one of the two). "
            "This is a defect: please report it.",
            style="bold red",
        )
    elif verdict.equal:
        page.line("  Equal: ids, probabilities and weights, bit for bit.", style="bold green")
    for reason in verdict.reasons:
        page.warning(f"the revision does not promise that it is exact: {reason} ({REASONS.get(reason, 'see inspect')})")
    if verdict.reasons:
        page.line("  In this demonstration, a smaller --budget or more --documents help.")
    return verdict


def _draw(place: Place, outcome: Outcome, page: Page) -> None:
    page.heading("6. Pictures")
    if not plots.can_draw():
        page.line(f"  Not drawn: matplotlib is not installed. For two plots: {plots.HOW}, then run the demo again.")
        return
    plots.draw_probability(outcome.selector, place.probability_plot)
    plots.draw_stream(outcome.sights, place.stream_plot)
    page.line(f"  {place.probability_plot}: probability by distance and density")
    page.line(f"  {place.stream_plot}: cost and turnover over the stream")


def _program() -> str:
    """How this program was called, so that the printed commands work in the same shell."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        python = "python" if shutil.which("python") == sys.executable else shlex.quote(sys.executable)
        return f"{python} -m tsds_stream"
    known = shutil.which("tsds-stream")
    if called.name != "tsds-stream" or (known is not None and Path(known).resolve() == called.resolve()):
        return "tsds-stream"
    return shlex.quote(str(called))
