"""What a method selected in a trial, in figures."""

from __future__ import annotations

from math import exp

import numpy as np

from benchmarks.evidence.trials import Trial
from tsds_stream.comparison.measures import closeness, log_perplexity
from tsds_stream.comparison.task import Method

Figures = dict[str, float]


def measured(trial: Trial, method: Method) -> Figures:
    """Of the documents that a method selects.

    documents, distinct (share of them that are of different sources), on target (share from the domains of the mix),
    mix distance (sum of the differences between the shares of the domains in selection and targets: 0 to 2), transport
    cost and coverage (distances to the held-out targets). Of texts the perplexity of the held-out targets, whose
    natural logarithm is the loss; of images the error of a classifier that learnt from the selection, which is it.
    """
    rows = method.select(trial.task)
    selected = trial.task.pool.part(rows)
    mix = np.bincount(trial.domains[rows], minlength=len(trial.shares)) / len(rows)
    near = closeness(selected, trial.held_out)
    figures = {
        "documents": float(len(rows)),
        "distinct": len(np.unique(trial.sources[rows])) / len(rows),
        "on target": float(mix[trial.shares > 0].sum()),
        "mix distance": float(np.abs(mix - trial.shares).sum()),
        "transport cost": near.transport_cost,
        "coverage": near.coverage,
    }
    if trial.vocabulary is not None:
        figures["loss"] = log_perplexity(selected, trial.held_out, trial.vocabulary)
        figures["perplexity"] = exp(figures["loss"])
    if trial.examination is not None:
        figures["loss"] = figures["error"] = trial.examination.error(selected.vectors, trial.domains[rows])
    return figures
