"""The methods by name."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Final

from tsds_stream.comparison.methods.deduplicated import Deduplicated
from tsds_stream.comparison.methods.dsir import Dsir
from tsds_stream.comparison.methods.nearest import Nearest
from tsds_stream.comparison.methods.product import Product, TotalVariation
from tsds_stream.comparison.methods.random import Random
from tsds_stream.comparison.methods.round_robin import RoundRobin
from tsds_stream.comparison.task import Method

DEDUPLICATED: Final = "dedup+"
_DRAWN: Final = {"mode": "coordinated"}

METHODS: Final[dict[str, Method]] = {
    "default": Product("what tsds-stream select chooses with the options given"),
    "kde": Product("regularizer kde, coordinated sampling", {"regularizer": "kde", **_DRAWN}),
    "uniform": Product("regularizer uniform, coordinated sampling", {"regularizer": "uniform", **_DRAWN}),
    "tv": TotalVariation("regularizer tv, coordinated sampling"),
    "top": Product("regularizer kde, the largest probabilities", {"regularizer": "kde", "mode": "top"}),
    "turns": Product("targets take turns, min_distance apart", {"mode": "turns"}),
    "round_robin": RoundRobin(),
    "nearest": Nearest(),
    "dsir": Dsir(),
    "random": Random(),
}
COMPARED: Final = ("kde", "turns", "uniform", "tv", "round_robin", "nearest", "dsir", "random", "dedup+round_robin")


def method_of(name: str) -> Method:
    """The method of a name, `dedup+` in front of it included.

    Raises:
        ValueError: there is none; the message lists those there are.
    """
    if name.startswith(DEDUPLICATED):
        return Deduplicated(method_of(name.removeprefix(DEDUPLICATED)))
    if name not in METHODS:
        near = get_close_matches(name, METHODS, 1)
        hint = f"did you mean {near[0]!r}? There are" if near else "there are"
        raise ValueError(
            f"there is no method {name!r}; {hint} {', '.join(METHODS)}, each also with {DEDUPLICATED} in front of it"
        )
    return METHODS[name]
