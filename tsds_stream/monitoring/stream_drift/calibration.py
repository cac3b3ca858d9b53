"""Thresholds for a false alarm rate, from the baseline alone.

How far would windows stray from the baseline if the stream did not change? Documents come in bursts from one source,
windows overlap and are looked at again and again, and the baseline is itself only a sample. So streams are simulated
that go on as the baseline did, for as long as the rate promises, and the threshold is a quantile of the farthest that
any window of theirs strays:

* A simulated stream is a chain of blocks. Each is a Gaussian mixture of the blocks of the baseline (a multiplier
  bootstrap: Buehlmann 1993; Bucher and Kojadinovic 2016), so that it has the covariance of real neighbouring documents,
  and no document that comes twice can make two windows look alike.
* Some sources are more unusual than others: a simulated block strays as far, beside the others, as one of the baseline.
* Blocks are as long as documents remain alike: the variance of block means times their length has stopped growing.
* The baseline is a sample. The mean of a simulated stream differs from it by as much as the mean of the baseline is
  uncertain, once for the whole stream; and its scale is as uncertain as a variance that is estimated from that many
  blocks (chi-squared). Few blocks give high thresholds.
* Farthest deviations follow the distribution of extremes (Gumbel, by probability-weighted moments), which gives the far
  quantile that sharing the rate among all signals and windows asks for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from tsds_stream.monitoring.stream_drift.measures import Measure
from tsds_stream.selection.arithmetic import Float32, Float64

BLOCKS: Final = (1, 2, 4, 8)  # chunks
_STREAMS: Final = 100
_LONGEST: Final = 1000  # chunks of a simulated stream beyond the first window; what is farther is extrapolated
_STARTS: Final = 256  # blocks that are mixed
_STILL_GROWING: Final = 1.05
_SCALES: Final = 4096
_EULER: Final = 0.5772156649015329


@dataclass(frozen=True)
class Aim:
    """What a threshold is for.

    Attributes:
        windows: chunks of each window.
        horizon: chunks over which an unchanged stream should stay below it.
        probability: that it does not.
        seed: of the simulation.
    """

    windows: Mapping[str, int]
    horizon: int
    probability: float
    seed: int


def thresholds(chunks: Float64, measure: Measure, aim: Aim, block: int = 1) -> dict[str, float]:
    """The threshold of each window, from the (n, F) means of the chunks of the baseline in their order.

    `block` is the shortest block in chunks that may be used; n is at least 8.
    """
    block = max(block, block_length(chunks))
    deviations, centre = _deviations(chunks, measure)
    blocks = len(chunks) / block
    growth = _growth(chunks, block)
    random = np.random.default_rng(aim.seed)
    scales = np.sqrt((blocks - 1) / random.chisquare(blocks - 1, _SCALES)) ** measure.degree
    length = min(aim.horizon, _LONGEST)
    farthest = {name: np.empty(_STREAMS) for name in aim.windows}
    for stream, path in enumerate(_paths(deviations, block, length + max(aim.windows.values()), random)):
        path *= np.float32(growth)
        for name, size in aim.windows.items():
            means = _window_means(path, size, length, centre, measure)
            farthest[name][stream] = measure.function(means, centre).max()
    beyond = np.log(aim.horizon / length)
    return {name: _quantile(found, scales, 1.0 - aim.probability, beyond) for name, found in farthest.items()}


def block_length(chunks: Float64) -> int:
    """Chunks after which a block of twice the length has hardly more than half the variance of its mean."""
    usable = [block for block in BLOCKS if len(chunks) >= 8 * block]
    return next(
        (b for b in usable[:-1] if _variance(chunks, 2 * b) <= _STILL_GROWING * _variance(chunks, b)), usable[-1]
    )


def _variance(chunks: Float64, block: int) -> float:
    """Variance of the means of overlapping blocks, summed over the features, times the length of a block."""
    n = len(chunks)
    centred = chunks - chunks.mean(0)
    total = np.concatenate([np.zeros((1, chunks.shape[1])), np.concatenate([centred, centred[:block]]).cumsum(0)])
    means = (total[block : block + n] - total[:n]) / block
    return float(block * (means**2).sum() / (n - block))


def _growth(chunks: Float64, block: int) -> float:
    """By how much longer blocks still deviate more: the limit is extrapolated from blocks of one and two lengths."""
    shorter, longer = _variance(chunks, block), _variance(chunks, 2 * block)
    return max(1.0, (2.0 * longer - shorter) / shorter) ** 0.5 if shorter > 0 else 1.0


def _deviations(chunks: Float64, measure: Measure) -> tuple[Float64, Float64]:
    """Chunks without their mean, and the mean; rotated into fewer coordinates where that keeps distances."""
    centre = chunks.mean(0)
    centred = chunks - centre
    if not measure.euclidean:
        return centred, centre
    left, scale, _ = np.linalg.svd(centred, full_matrices=False)
    rotated = left * scale
    return rotated, np.zeros(rotated.shape[1])


def _paths(deviations: Float64, block: int, length: int, random: np.random.Generator) -> Iterator[Float32]:
    """Simulated streams, each (length, F), as deviations from the mean of the baseline."""
    n, features = deviations.shape
    starts = np.unique(np.linspace(0, n - 1, min(n, _STARTS)).astype(np.int64))
    pieces = deviations[(starts[:, None] + np.arange(block)) % n].reshape(len(starts), -1)
    pieces = (pieces * np.sqrt(n / (n - block) / len(starts))).astype(np.float32)
    means = pieces.reshape(len(starts), block, features).mean(1) * np.float32(np.sqrt(block / n))
    energies = np.sqrt(np.einsum("ij,ij->i", pieces, pieces))
    unusual = energies / max(float(np.sqrt((energies**2).mean())), 1e-30)
    count = -(-length // block)
    for _ in range(_STREAMS):
        mixed = random.standard_normal((count, len(starts)), np.float32) @ pieces
        mixed *= random.choice(unusual, count)[:, None]
        uncertain = random.standard_normal(len(starts), np.float32) @ means
        yield mixed.reshape(-1, features)[:length] + uncertain


def _window_means(path: Float32, size: int, count: int, centre: Float64, measure: Measure) -> Float64:
    """The (count, F) means of the windows that end with the last chunks of a path."""
    sums = np.concatenate([np.zeros((1, path.shape[1])), path.cumsum(0, np.float64)])
    ends = np.arange(len(path) - count, len(path)) + 1
    means: Float64 = (sums[ends] - sums[ends - size]) / size + centre
    if measure.shares:
        np.maximum(means, 0.0, out=means)
        means /= means.sum(1, keepdims=True)
    return means


def _quantile(farthest: Float64, scales: Float64, level: float, beyond: float) -> float:
    """The quantile of extreme times scale; `beyond` is the logarithm of how much longer the horizon is."""
    n = len(farthest)
    ordered = np.sort(farthest)
    mean = float(ordered.mean())
    spread = float((2.0 * (np.arange(n) @ ordered) / (n * (n - 1)) - mean) / np.log(2.0))
    if spread <= 0:
        return float(mean * np.quantile(scales, level))
    place = mean + spread * (beyond - _EULER)
    low, high = 0.0, float(scales.max()) * (place + spread * 40.0)
    for _ in range(60):
        middle = (low + high) / 2
        reached = np.exp(-np.exp(np.minimum(700.0, (place - middle / scales) / spread))).mean()
        low, high = (middle, high) if reached < level else (low, middle)
    return high
