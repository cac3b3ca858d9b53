"""A comparison as plain data: what scripts read."""

from __future__ import annotations

from collections.abc import Iterator
from math import exp
from statistics import fmean

from tsds_stream.comparison.compare import Comparison
from tsds_stream.comparison.intervals import Interval
from tsds_stream.comparison.methods import method_of
from tsds_stream.comparison.trial import Score
from tsds_stream.comparison.verdict import correction, overall, verdicts
from tsds_stream.records import Json


def mean_scores(comparison: Comparison, method: str) -> dict[str, float | None]:
    """Means of all measures over the splits; of the perplexity the geometric one."""
    scores = [trial.scores[method] for trial in comparison.trials]
    means: dict[str, float | None] = {
        name: fmean(getattr(score, name) for score in scores)
        for name in ("documents", "tokens", "transport_cost", "coverage", "distinct", "overlap", "seconds")
    }
    logs = [score.log_perplexity for score in scores if score.log_perplexity is not None]
    return {"perplexity": exp(fmean(logs)) if logs else None, **means}


def as_json(comparison: Comparison) -> Json:
    """Everything but which documents were taken."""
    found = verdicts(comparison)
    by_name = {one.method: one for one in found}
    plan = comparison.plan
    return {
        "documents": comparison.documents,
        "tokens": comparison.tokens,
        "targets": comparison.targets,
        "targets_in_pool": comparison.in_pool,
        "held_out": plan.held_out,
        "seeds": [trial.seed for trial in comparison.trials],
        "token_budget": comparison.token_budget,
        "near_copy": comparison.near_copy,
        "copies_of_held_out": "kept" if plan.keep_copies else "left out",
        "left_out": [trial.left_out for trial in comparison.trials],
        "measure": "perplexity" if comparison.has_texts else "transport_cost",
        "reference": comparison.reference,
        "interval": {"confidence": 0.95, "degrees": len(comparison.trials) - 1, "correction": correction(comparison)},
        "settings": plan.config.model_dump(mode="json"),
        "methods": {
            name: {
                "about": method_of(name).about,
                **mean_scores(comparison, name),
                "difference": None if name not in by_name else _difference(by_name[name].difference),
                "outcome": "reference" if name not in by_name else by_name[name].outcome,
                "sentence": "" if name not in by_name else by_name[name].sentence,
                "splits": [_score(trial.scores[name]) for trial in comparison.trials],
            }
            for name in comparison.methods
        },
        "sentence": overall(comparison, found),
    }


def selections(comparison: Comparison, ids: list[str]) -> Iterator[Json]:
    """Per split and method, the documents that were taken."""
    for trial in comparison.trials:
        for name, rows in trial.taken.items():
            yield {"seed": trial.seed, "method": name, "ids": [ids[row] for row in rows.tolist()]}


def _difference(difference: Interval) -> Json:
    """Of logarithms."""
    return {"log_ratio": difference.mean, "low": difference.low, "high": difference.high}


def _score(score: Score) -> Json:
    perplexity = None if score.log_perplexity is None else exp(score.log_perplexity)
    fields = ("documents", "tokens", "transport_cost", "coverage", "distinct", "overlap", "seconds")
    measured = {name: getattr(score, name) for name in fields}
    return {"perplexity": perplexity, **measured, "reasons": list(score.reasons)}
