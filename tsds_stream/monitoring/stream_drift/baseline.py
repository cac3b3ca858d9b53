"""The documents that the stream is compared with."""

from __future__ import annotations

from dataclasses import dataclass

from tsds_stream.selection.arithmetic import Float32, Int64


@dataclass(frozen=True)
class Baseline:
    """Documents as they were looked at, in their order: neighbours in it tell how alike neighbours in the stream are.

    Attributes:
        vectors: (N, d) float32.
        lengths: (N,) int64 characters.
        began, ended: milliseconds since the epoch.
    """

    vectors: Float32
    lengths: Int64
    began: int
    ended: int

    def __len__(self) -> int:
        return len(self.vectors)
