"""What the candidates were developed and chosen on: mixes that earlier work had used, none of a table's."""

from __future__ import annotations

from typing import Final

from benchmarks.evidence.mixes import TRIED, TRIED_CODE, Mix

TEXT: Final[tuple[Mix, ...]] = (
    {"java": 0.5, "gis": 0.3, "numeric": 0.2},
    TRIED,
    {"dictionary": 0.5, "network": 0.3, "desktop": 0.2},
    {"kernel": 0.4, "graphics": 0.4, "quotes": 0.2},
    {"music": 0.5, "office": 0.3, "algebra": 0.2},
    {"erlang": 0.5, "computing": 0.3, "sympy": 0.2},
)
CODE: Final[tuple[Mix, ...]] = (
    TRIED_CODE,
    {"java": 0.5, "python": 0.3, "perl": 0.2},
    {"go": 0.5, "c++": 0.3, "erlang": 0.2},
)
