"""Arrays that describe rows laid end to end."""

from __future__ import annotations

import numpy as np

from tsds_stream.selection.arithmetic import Int64


def ragged(lengths: Int64) -> tuple[Int64, Int64]:
    """Row and column of every entry, row by row: (Σ lengths,) int64 each.

    Args:
        lengths: (M,) int64 ≥ 0; row i has columns 0 .. lengths[i] − 1.
    """
    ends = np.cumsum(lengths)
    rows = np.repeat(np.arange(len(lengths)), lengths)
    columns = np.arange(int(ends[-1]) if len(ends) else 0)
    columns -= np.repeat(ends - lengths, lengths)
    return rows, columns


def distinct_ascending(numbers: Int64) -> Int64:
    """The different values of an ascending array: what `np.unique` gives, without sorting or hashing."""
    if not len(numbers):
        return numbers
    first = np.empty(len(numbers), np.bool_)
    first[0] = True
    np.not_equal(numbers[1:], numbers[:-1], out=first[1:])
    return numbers[first]
