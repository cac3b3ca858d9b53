"""A trial as a stream: the first documents of its pool, in an order of arrival."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from benchmarks.evidence.trials import Trial
from tsds_stream.comparison.task import Task
from tsds_stream.selection.arithmetic import Int64
from tsds_stream.selection.settings import SelectorConfig

WIDTH: Final = 0.12  # standard deviation of the arrivals of one domain, in lengths of the stream


def in_waves(domains: Int64, random: np.random.Generator) -> Int64:
    """An order of documents in which every domain has its season: around a random moment, and round the end.

    Args:
        domains: (n,) numbers of the domains.
    """
    seasons = random.random(int(domains.max()) + 1)
    return np.argsort((seasons[domains] + WIDTH * random.standard_normal(len(domains))) % 1.0, kind="stable")


def streamed(trial: Trial, order: Int64, length: int, calibration: int) -> Trial:
    """The same question to the documents that come first in an order.

    Args:
        calibration: documents after which the width of the kernel is frozen.

    Raises:
        ValueError: there are fewer than `length`.
    """
    if len(order) < length:
        raise ValueError(f"the stream is to have {length} documents, and the pool has {len(order)}")
    task, rows = trial.task, order[:length]
    pool = task.pool.part(rows)
    config = SelectorConfig(**{**task.config.model_dump(), "calibration": calibration})
    task = Task.of(pool, task.targets, task.budget, task.near_copy, task.seed, config, name=task.name)
    return replace(trial, task=task, sources=trial.sources[rows], domains=trial.domains[rows])
