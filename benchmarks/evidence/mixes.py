"""What the targets are drawn from: fixed here before any result was seen, and not changed afterwards.

The rules and their defaults were developed on other mixes. Of text, no two domains of a mix here stood together in one
of those; of code, every mix has one of the languages of which there was hardly any then (C) or none (Lisp, Tcl). A
seed of a table is a mix and one random split of it: seed k takes mix k modulo their number, so that twelve seeds are
twelve mixes and not twelve splits of one.
"""

from __future__ import annotations

from typing import Final

Mix = dict[str, float]

TEXT: Final[tuple[Mix, ...]] = (
    {"java": 0.45, "bible": 0.35, "astronomy": 0.2},
    {"sql": 0.6, "music": 0.25, "symbolic": 0.15},
    {"kernel": 0.4, "sympy": 0.4, "dictionary": 0.2},
    {"erlang": 0.55, "algebra": 0.25, "graphics": 0.2},
    {"python": 0.4, "numeric": 0.35, "quotes": 0.25},
    {"office": 0.35, "computing": 0.35, "network": 0.3},
    {"perl": 0.5, "gis": 0.4, "desktop": 0.1},
    {"webserver": 0.25, "dictionary": 0.25, "biology": 0.25, "java": 0.25},
    {"algebra": 0.5, "sql": 0.3, "quotes": 0.2},
    {"gis": 0.4, "kernel": 0.35, "office": 0.25},
    {"symbolic": 0.4, "perl": 0.3, "graphics": 0.3},
    {"sympy": 0.5, "python": 0.3, "astronomy": 0.2},
)
CODE: Final[tuple[Mix, ...]] = (
    {"c": 0.5, "tcl": 0.3, "ruby": 0.2},
    {"lisp": 0.6, "java": 0.25, "go": 0.15},
    {"python": 0.4, "c": 0.35, "erlang": 0.25},
    {"tcl": 0.45, "rust": 0.35, "lisp": 0.2},
    {"perl": 0.4, "go": 0.4, "tcl": 0.2},
    {"c++": 0.5, "python": 0.3, "tcl": 0.2},
    {"rust": 0.5, "erlang": 0.3, "lisp": 0.2},
    {"go": 0.4, "java": 0.35, "c": 0.25},
    {"ruby": 0.5, "lisp": 0.3, "c++": 0.2},
    {"erlang": 0.4, "c": 0.4, "perl": 0.2},
)
TRIED: Final[Mix] = {"sql": 0.5, "astronomy": 0.3, "perl": 0.2}  # an old mix: smoke tests must not show the new ones
TRIED_CODE: Final[Mix] = {"rust": 0.5, "java": 0.3, "ruby": 0.2}
TRIED_DIGITS: Final[Mix] = {"0": 0.4, "1": 0.3, "3": 0.2, "8": 0.1}
RARE: Final = 0.14  # of a pool of code is in the languages of the targets, in equal parts

_DIGITS: Final = (2, 7, 4, 9)
_SHARES: Final = (0.4, 0.3, 0.2, 0.1)


def text(seed: int) -> Mix:
    return TEXT[seed % len(TEXT)]


def code(seed: int) -> Mix:
    return CODE[seed % len(CODE)]


def digits(seed: int) -> Mix:
    """Four digits, other ones for each of ten seeds: after ten, every digit has had every share once."""
    return {str((digit + seed) % 10): share for digit, share in zip(_DIGITS, _SHARES, strict=True)}
