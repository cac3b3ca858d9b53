"""What is compared where near-copies are the question."""

from __future__ import annotations

from typing import Final

from benchmarks.evidence.table import BEST_SIMPLE
from tsds_stream.comparison.methods import method_of
from tsds_stream.comparison.methods.product import Product
from tsds_stream.comparison.task import Method

_NAMES: Final = (
    "kde",
    "turns",
    "uniform",
    "top",
    "round_robin",
    BEST_SIMPLE,
    "dedup+uniform",
    "nearest",
    "dsir",
    "random",
)
_APART: Final = {"min_distance": "sigma"}


def compared() -> dict[str, Method]:
    """Methods by their names in the tables."""
    found: dict[str, Method] = {name: method_of(name) for name in _NAMES}
    found["kde, min_distance"] = kde(**_APART)
    found["uniform, min_distance"] = Product("", {"regularizer": "uniform", "mode": "coordinated", **_APART})
    return found


def kde(**changes: object) -> Method:
    """Coordinated sampling with a kernel density, and these settings of the selector."""
    return Product("", {"regularizer": "kde", "mode": "coordinated", **changes})
