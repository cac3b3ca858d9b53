"""Documents that show what the selection does, and how crowded it would be without density."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tsds_stream.demo.pages import Page
from tsds_stream.embedding.base import Embedder
from tsds_stream.selection.revision import Revision
from tsds_stream.selection.selector import Selector


@dataclass(frozen=True, slots=True)
class Sample:
    """A document, and why it is worth a look."""

    title: str
    id: str


def samples(selector: Selector, revision: Revision, originals: Mapping[str, str]) -> list[Sample]:
    """The document nearest to an example, a crowded one, and a repost that was left out."""
    best = int(np.argmin([near[0][1] for near in selector.nearest_targets(revision.ids, 1)]))
    chosen = [Sample("Selected, and the nearest to an example", revision.ids[best])]
    crowded = int(np.nanargmax(revision.densities))
    if crowded != best and revision.densities[crowded] > 1.5:
        chosen.append(Sample("Selected, though it stands in a crowd", revision.ids[crowded]))
    selected = set(revision.ids)
    families = {originals.get(name, name) for name in revision.ids}
    ids, probabilities = selector.probabilities()
    left_out = [
        (p, name)
        for p, name in zip(probabilities.tolist(), ids, strict=True)
        if name in originals and name not in selected and originals[name] in families
    ]
    if left_out:
        chosen.append(Sample("Left out: it repeats a document that is selected already", max(left_out)[1]))
    return chosen


def shares(
    revision: Revision, pages: Sequence[Page], originals: Mapping[str, str], count: int
) -> list[tuple[str, int, int]]:
    """The packages that give most: (package, its documents, its selected documents)."""
    source = {page.id: page.source for page in pages}
    every = Counter(source.values())
    chosen = Counter(source[originals.get(name, name)] for name in revision.ids)
    ordered = sorted(chosen.items(), key=lambda item: (-item[1], item[0]))
    return [(name, every[name], number) for name, number in ordered[:count]]


def near_duplicates(revision: Revision, texts: Mapping[str, str], embedder: Embedder, within: float) -> int:
    """Members that lie nearer than `within` to a member of a smaller id: what a reader would call redundant."""
    if len(revision) < 2:
        return 0
    vectors = embedder.embed([texts[name] for name in revision.ids]).astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    close = 2 - 2 * vectors @ vectors.T < within**2
    return int(np.tril(close, -1).any(axis=1).sum())
