"""The figures of a set's plan, sample and index, for whoever knows them."""

from __future__ import annotations

from tsds_stream.monitoring.page import formatting
from tsds_stream.monitoring.page.fit import sources
from tsds_stream.monitoring.page.markup import Html, join, tag
from tsds_stream.monitoring.page.pieces import facts, folded, part
from tsds_stream.monitoring.page.place import Place
from tsds_stream.monitoring.page.values import count, shown, when, words


def plan_and_index(here: str, one: Place, now: int) -> Html:
    """Folded away: plan and sample, index, sources."""
    index = one["index"]
    plan = facts(
        (
            ("Documents seen", count(one["documents_seen"])),
            ("Admitted to a shortlist", count(one["admitted"])),
            ("Support of the plan", count(one["support"])),
            ("Effective sample size", shown(one["effective_sample_size"])),
            ("s", shown(one["s"])),
            ("alpha", shown(one["alpha"])),
            ("sigma", join(shown(one["sigma"]), None if one["calibrated"].value else " (not settled yet)")),
            ("tau", shown(one["tau"])),
            ("Targets with a truncated list", count(one["truncated"])),
            ("Targets with a short list", count(one["short"])),
            ("Digest of the revision", words(one["digest"], class_="id")),
        )
    )
    rows: list[tuple[object, object]] = [
        ("Kind", words(index["kind"])),
        ("Points", count(index["indexed"])),
        ("Candidates", count(index["candidates"])),
        ("Settled densities", count(index["settled"])),
        ("Saturated points", count(index["saturated"])),
        ("Tombstones", count(index["tombstones"])),
        ("Entries that shortlists lack", count(index["shortlist_deficit"])),
        ("Rounds of the last plan", count(index["rounds"])),
        ("Mean reach", shown(index["mean_reach"])),
        ("Spread of the weights", shown(index["weight_spread"])),
    ]
    if index["recall"].known:
        rows.append(("Recall against exact search", shown(index["recall"], formatting.share)))
        rows.append(("Recall measured", when(index["recall_at"], now)))
    listed = sources(here, one["watch"])
    return folded(
        f"{here}-plan",
        "Plan, index and sources",
        tag("div", part("Plan and sample", plan), part("Index", facts(rows)), listed, class_="columns"),
    )
