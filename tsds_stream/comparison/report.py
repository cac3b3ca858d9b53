"""A comparison on one screen."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import fmean

from tsds_stream.comparison.compare import MOSTLY, Comparison
from tsds_stream.comparison.results import mean_scores
from tsds_stream.comparison.verdict import FEW_HELD_OUT, Verdict, overall, verdicts
from tsds_stream.summary import REASONS
from tsds_stream.terminal import Page, count

_MANY = 0.05  # share of documents, targets or tokens that is worth a word


def show(comparison: Comparison, page: Page) -> None:
    """Print the table, a sentence per method, and what they add up to."""
    found = verdicts(comparison)
    trials, plan = comparison.trials, comparison.plan
    out = len(trials[0].held_out)
    page.heading(
        f"{count(len(comparison.methods), 'method')}, {comparison.token_budget:,} tokens each, of "
        f"{count(comparison.documents, 'document')} for {count(comparison.targets, 'target')}"
    )
    page.line(
        f"  {count(plan.seeds, 'split')}: {out} of {comparison.targets} targets are held out and measured, the methods "
        f"see the other {comparison.targets - out}"
    )
    left = fmean(trial.left_out for trial in trials)
    what = "stay in the pool" if plan.keep_copies else f"are left out of the pool ({left:,.0f} documents)"
    page.line(f"  near-copies, nearer than {comparison.near_copy:.3f}, of targets held out {what}")
    page.heading("Targets held out, means over the splits")
    headings, rows = _table(comparison, {one.method: one for one in found})
    page.table(headings, rows, right=range(1, len(headings)))
    page.line(f"  {_legend(comparison)}")
    for warning in warnings(comparison):
        page.warning(warning)
    page.heading(f"Against {comparison.reference}, which is what tsds-stream select does with these options")
    for one in found:
        page.line(f"  {one.sentence}")
    page.line("")
    page.line(overall(comparison, found), style="bold")


def warnings(comparison: Comparison) -> Iterator[str]:
    """What somebody should know before believing the table."""
    if comparison.plan.methods is None and not comparison.has_texts:
        yield "not every document and target has a text, so there is no perplexity, and dsir is left out."
    share = comparison.in_pool / comparison.targets
    if share > _MANY:
        yield (
            f"{100 * share:.0f}% of the targets stand in the documents themselves: give --sigma a number (0.5 suits "
            "the static embedder), because its automatic value goes by the distance to the nearest document."
        )
    if comparison.token_budget > MOSTLY * comparison.tokens:
        used = 100 * comparison.token_budget / comparison.tokens
        yield f"the budget takes {used:.0f}% of the pool, which leaves the methods little to differ in."
    left = fmean(trial.left_out for trial in comparison.trials) / comparison.documents
    if left > _MANY:
        yield (
            f"{100 * left:.0f}% of the documents are near-copies of targets held out and were left out; a smaller "
            "--near-copy leaves fewer out."
        )
    for name in comparison.methods:
        tokens, budget = fmean(trial.scores[name].tokens for trial in comparison.trials), comparison.token_budget
        # A selection ends at the first document that does not fit: about one document less is no fault.
        if budget - tokens > max(_MANY * budget, 3 * comparison.tokens / comparison.documents):
            full = 100 * tokens / budget
            yield f"{name} fills only {full:.0f}% of the budget, so it is held against methods that read more."
        for reason in sorted({reason for trial in comparison.trials for reason in trial.scores[name].reasons}):
            yield f"{name} is not exact: {reason} ({REASONS.get(reason, 'see the reference')})."
    if len(comparison.trials[0].held_out) < FEW_HELD_OUT:
        yield "few targets are held out: the intervals do not tell how other targets would do."


def _table(comparison: Comparison, found: dict[str, Verdict]) -> tuple[list[str], list[list[str]]]:
    headings = ["method", "perplexity", f"against {comparison.reference} (95%)", "distinct", "cost", "coverage",
                "overlap", "docs", "sec"]  # fmt: skip
    rows = []
    for name in sorted(comparison.methods, key=lambda one: found[one].difference.mean if one in found else 0.0):
        means = mean_scores(comparison, name)
        rows.append([
            name,
            *("" if means["perplexity"] is None else f"{means['perplexity']:,.1f}",),
            found[name].percent if name in found else "",
            f"{100 * (means['distinct'] or 0.0):.1f}%",
            f"{means['transport_cost']:.4f}",
            f"{means['coverage']:.4f}",
            f"{100 * (means['overlap'] or 0.0):.0f}%",
            f"{means['documents']:,.0f}",
            f"{means['seconds']:.2f}",
        ])  # fmt: skip
    if not comparison.has_texts:
        headings = [headings[0], *headings[2:]]
        rows = [[row[0], *row[2:]] for row in rows]
    return headings, rows


def _legend(comparison: Comparison) -> str:
    perplexity = "perplexity: of a trigram model trained on the selection; " if comparison.has_texts else ""
    return (
        f"{perplexity}distinct: share without near-copies; cost: mean distance of a target to its share of the "
        f"selection; coverage: to the nearest document of it; overlap: with {comparison.reference}"
    )
