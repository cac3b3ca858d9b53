"""Targets take turns: each takes its nearest point that nobody has taken and that keeps its distance from all taken."""

from __future__ import annotations

from typing import Final

import numpy as np

from tsds_stream.selection.arithmetic import Bool, Float64, Int64
from tsds_stream.selection.rows import Rows
from tsds_stream.selection.sampling import Sample, check_budgets
from tsds_stream.selection.spacing import Exclusions, Spacing

_BLOCK: Final = 128  # rows visited between two batched comparisons; changes the speed, never the result
_LOOK_AHEAD: Final = 4  # entries of each such row that are compared in advance
_LEAST_SHARE: Final = 2.0**-32  # keeps round numbers below 2^53 for up to 2^21 turns of a target


def turns(
    rows: Rows,
    weights: Float64,
    points: int,
    budget: int | None,
    tokens: Int64 | None = None,
    token_budget: int | None = None,
    spacing: Spacing | None = None,
) -> Sample:
    """Take points in rounds, one per target and round.

    A point is excluded when it is taken or too near to a taken one. In each round every row that takes part moves its
    pointer to its first point that is not excluded. Rows that have one are visited in order of (the distance of that
    point at the start of the round, row number). A visited row moves its pointer again if need be, takes its point and
    moves on. Everything stops when `budget` points are taken, or at the first point that does not fit the token budget.
    A point with more tokens than the whole token budget is excluded from the start.

    Row i takes part in round t iff floor(t · r_i) > floor((t-1) · r_i), with r_i = weights[i] / max(weights) in float64
    (at least 2^-32).

    A row *ran out* when it was asked for a point, at the start of a round or when visited, and had none left. An
    incomplete row (short or full, finite frontier) that ran out is truncated: points that were left out of it might
    have been taken. A row whose last point was just taken has not run out: nobody has asked it again. With no truncated
    row the selection is that of unlimited rows.

    No randomness and no dependence on the order of points. With only a document budget (or token budgets that no
    document exceeds), the selection of a smaller budget is a prefix of that of a larger one.

    Args:
        rows: shortlists of the active targets, ascending by target id.
        weights: (M,) float64, positive target weights; only ratios matter.
        points: P; the rows name points 0 .. P-1.
        tokens: (P,) int64, not negative; needed for a token budget.
        spacing: vectors and norms of the P points; none: only taken points are excluded.

    Returns:
        A sample with weight 1, inclusion 1 (nothing is drawn at random) and `truncated_rows`. It is short of budget
        when all rows ran out.

    Raises:
        ValueError: neither budget is given, tokens are missing, or a weight is not positive and finite.
    """
    check_budgets(budget, tokens, token_budget)
    if len(weights) and not (np.isfinite(weights).all() and (weights > 0).all()):
        raise ValueError("target weights must be positive and finite")
    barred = np.zeros(points, np.bool_) if token_budget is None or tokens is None else tokens > token_budget
    table = _Table(rows, Exclusions(barred, spacing), budget, tokens, token_budget)
    share = np.maximum(weights / weights.max(initial=0.0), _LEAST_SHARE) if len(weights) else weights
    turn = _next_turn(np.zeros(len(share), np.int64), share)
    while not table.stopped:
        waiting = np.flatnonzero(~table.ran_out)
        if len(waiting) == 0:
            break
        visitors = waiting[turn[waiting] == turn[waiting].min()]
        table.play(visitors)
        turn[visitors] = _next_turn(turn[visitors], share[visitors])
    taken = np.array(table.exclusions.taken, np.int64)
    ones = np.ones(len(taken))
    truncated = int((table.ran_out & ~rows.complete).sum())
    memory = table.exclusions.remembered()
    return Sample(taken, ones, ones.copy(), None, not table.stopped, False, truncated, memory)


def _next_turn(turn: Int64, share: Float64) -> Int64:
    """The next round in which each row takes part: the least t with floor(t · share) > floor(turn · share).

    Computed directly, so that a heavy target that has run out does not leave millions of empty rounds behind.
    """
    goal = np.floor(turn * share) + 1.0
    following = np.maximum(np.ceil(goal / share).astype(np.int64) - 1, turn + 1)
    while (early := np.floor(following * share) < goal).any():
        following[early] += 1
    return following


class _Table:
    """The rows' pointers and what has been taken, played one round at a time."""

    def __init__(
        self, rows: Rows, exclusions: Exclusions, budget: int | None, tokens: Int64 | None, token_budget: int | None
    ) -> None:
        self.rows = rows
        self.exclusions = exclusions
        self.ran_out: Bool = np.zeros(len(rows.counts), np.bool_)
        self.stopped = budget == 0
        self._position = np.zeros(len(rows.counts), np.int64)
        self._budget = budget
        self._tokens = tokens
        self._left = token_budget

    def play(self, visitors: Int64) -> None:
        """One round of these rows (ascending)."""
        self._move(visitors)
        visitors = visitors[~self.ran_out[visitors]]
        distances = self.rows.squared[visitors, self._position[visitors]]
        visitors = visitors[np.argsort(distances, kind="stable")]
        for start in range(0, len(visitors), _BLOCK):
            block = visitors[start : start + _BLOCK]
            self._move(block, may_run_out=False)
            entries, inside = self._window(block, _LOOK_AHEAD)
            self.exclusions.watch(np.unique(entries[inside]))
            # One step of Python per taken document: each take decides what the next row may take.
            for row in block.tolist():
                self._visit(row)
                if self.stopped:
                    return

    def _visit(self, row: int) -> None:
        """Let a row of the block take its first point that is not excluded, if it has one and the point fits."""
        point = self._first_known(row)
        if point is None:
            self._move(np.array([row]))
            if self.ran_out[row]:
                return
            point = int(self.rows.points[row, self._position[row]])
        if self._left is not None and self._tokens is not None:
            self._left -= int(self._tokens[point])
            if self._left < 0:
                self.stopped = True
                return
        self.exclusions.take(point)
        self.stopped = len(self.exclusions.taken) == self._budget

    def _first_known(self, row: int) -> int | None:
        """The row's first point if it is among the entries that are watched."""
        begin = int(self._position[row])
        for point in self.rows.points[row, begin : min(begin + _LOOK_AHEAD, int(self.rows.counts[row]))].tolist():
            if not self.exclusions.out[point]:
                return int(point)
        return None

    def _move(self, which: Int64, may_run_out: bool = True) -> None:
        """Move pointers to the first point that is not excluded; rows that have none ran out.

        With `may_run_out` false the pointer of such a row stays at its end: the row has not been visited yet.
        """
        window = 1
        while len(which):
            entries, inside = self._window(which, window)
            candidates = entries[inside]
            self.exclusions.update(np.unique(candidates[~self.exclusions.out[candidates]]))
            free = inside.copy()
            free[inside] = ~self.exclusions.out[candidates]
            found = free.any(1)
            self._position[which] += np.where(found, free.argmax(1), window)
            which = which[~found]
            ended = self._position[which] >= self.rows.counts[which]
            self._position[which[ended]] = self.rows.counts[which[ended]]
            if may_run_out:
                self.ran_out[which[ended]] = True
            which = which[~ended]
            window *= 2  # long runs of near-copies in few steps

    def _window(self, which: Int64, width: int) -> tuple[Int64, Bool]:
        """(len(which), width) entries from each pointer on, and which of them exist (0 stands for the others)."""
        columns = self._position[which][:, None] + np.arange(width)
        inside: Bool = columns < self.rows.counts[which][:, None]
        entries = np.zeros(columns.shape, np.int64)
        i, j = np.nonzero(inside)
        entries[i, j] = self.rows.points[which[i], columns[i, j]]
        return entries, inside
