"""One screen about a revision: size, exactness and why not, cost, the best documents, the targets served worst."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tsds_stream.terminal import Page, count, snippet

if TYPE_CHECKING:
    from tsds_stream.records import Json
    from tsds_stream.selection.revision import Revision

REASONS = {
    "truncated": "shortlists are too short for this selection; raise max_k",
    "short": "shortlists lost documents to retractions; raise slack, or use refill = auto",
    "provisional": "sigma is not frozen yet, or targets came late to a source that cannot be read again",
    "approximate_density": "densities come from an approximate index; index = exact is exact",
    "saturated": "some densities have more neighbours than kde_k; raise it",
    "capacity": "documents had to leave because of capacity or max_ids",
    "count": "the number of live documents is not known exactly, and regularizer = tv needs it",
}


def show_summary(
    page: Page,
    revision: Revision,
    best: Sequence[Json],
    worst: Sequence[tuple[str, float, str | None]],
    *,
    sigma_is_automatic: bool,
    alpha_is_automatic: bool,
) -> None:
    """Print the summary of a revision.

    Args:
        best: selection records, best first, as many as are to be shown.
        worst: (target id, mean distance of its documents, its text) of the targets served worst, worst first.
    """
    size, targets = count(len(revision), "document"), count(revision.targets_active, "target")
    page.heading(f"{size} selected of {revision.documents_seen:,} for {targets}")
    for label, value in _facts(revision, sigma_is_automatic, alpha_is_automatic):
        page.line(f"  {label:<10} {value}")
    for notice in revision.warnings:
        page.warning(f"{notice.sentence} ({notice.page}).")
    if best:
        page.heading("Best documents")
        rows = [[f"{record['probability']:.2e}", _nearest(record), record["id"], snippet(record.get("text"))]
                for record in best]  # fmt: skip
        page.table(["p", "distance", "id", "text"], rows, right=(0, 1))
    if worst:
        page.heading("Targets served worst")
        page.table(
            ["distance", "target", "text"], [[f"{d:.3f}", name, snippet(text)] for name, d, text in worst], right=(0,)
        )


def exactness(exact: bool, reasons: Sequence[str]) -> str:
    """Whether a selection is exact, and why not, as a sentence."""
    if exact:
        return "yes: bit for bit what a batch computation over all documents gives"
    return "no: " + "; ".join(f"{reason} ({REASONS.get(reason, 'see the reference')})" for reason in reasons)


def facts(revision: Revision) -> Json:
    """What a script wants to know of a revision, without its documents."""
    return {
        "size": len(revision),
        "exact": revision.exact,
        "reasons": list(revision.reasons),
        "documents_seen": revision.documents_seen,
        "targets": revision.targets_active,
        "transport_cost": revision.transport_cost,
        "alpha": revision.alpha,
        "sigma": revision.sigma,
        "s": revision.s,
        "tau": revision.tau,
        "support": revision.support,
        "effective_sample_size": revision.effective_sample_size,
        "short_of_budget": revision.short_of_budget,
        "digest": revision.digest,
        "warnings": [{"code": notice.code, "sentence": notice.sentence} for notice in revision.warnings],
    }


def _facts(revision: Revision, sigma_is_automatic: bool, alpha_is_automatic: bool) -> list[tuple[str, str]]:
    facts = [
        ("exact", exactness(revision.exact, revision.reasons)),
        ("cost", f"{revision.transport_cost:.4f}, the mean distance between a target and what the plan gives it"),
        ("alpha", _setting(revision.alpha, alpha_is_automatic)),
        ("sigma", _setting(revision.sigma, sigma_is_automatic)),
    ]
    spread = f"{count(revision.support, 'document')} with mass"
    if revision.effective_sample_size is not None:
        spread += f", as diverse as {revision.effective_sample_size:,.0f} of equal mass"
    facts.append(("spread", spread))
    facts.append(("digest", revision.digest))
    return facts


def _setting(value: float | None, automatic: bool) -> str:
    if value is None:
        return "not used"
    return f"{value:.4g}" + (" (automatic)" if automatic else "")


def _nearest(record: Json) -> str:
    return f"{record['nearest'][0][1]:.3f}" if record.get("nearest") else ""
