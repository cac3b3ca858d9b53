"""Near-copies of documents: some of the words edited, and the edited text embedded, never the vector moved."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

EDITED: Final = (0.02, 0.05, 0.1)  # shares of the words of a copy
FEWEST, MOST = 10, 100  # copies of one document, log-uniform
_PIECES: Final = re.compile(r"\S+|\s+")


@dataclass(frozen=True)
class Copies:
    """Copies of some documents, those of one document behind each other.

    Attributes:
        sources: the number of the document that each is a copy of. texts: edited.
    """

    sources: list[int]
    texts: list[str]


def numbers_of_copies(documents: int, random: Random) -> list[int]:
    """How many copies each of some documents gets."""
    return [round(FEWEST * (MOST / FEWEST) ** random.random()) for _ in range(documents)]


def copies_of(texts: Sequence[str], chosen: Sequence[int], random: Random) -> Copies:
    """Near-copies of the chosen texts; the words that replace others are drawn from all texts."""
    copies = Copies([], [])
    for source, number in zip(chosen, numbers_of_copies(len(chosen), random), strict=True):
        for _ in range(number):
            copies.sources.append(source)
            copies.texts.append(edited(texts[source], random.choice(EDITED), texts, random))
    return copies


def edited(text: str, share: float, others: Sequence[str], random: Random) -> str:
    """The text with so many of its words deleted, replaced or preceded by another one, at equal odds.

    White space between words stays as it is: the indentation of code is part of it. At least one word is edited.
    """
    pieces = _PIECES.findall(text)
    places = [place for place, piece in enumerate(pieces) if not piece.isspace()]
    for place in random.sample(places, max(1, round(share * len(places)))):
        kind = random.randrange(3)
        if kind == 0:
            pieces[place] = ""
        elif kind == 1:
            pieces[place] = _word(others, random)
        else:
            pieces[place] = f"{_word(others, random)} {pieces[place]}"
    return "".join(pieces)


def _word(texts: Sequence[str], random: Random) -> str:
    return random.choice(random.choice(texts).split())
