"""Clouds of documents around a few centres, and a selector that was fed with them."""

from __future__ import annotations

import numpy as np

from tsds_stream import Selector, SelectorConfig

RNG = np.random.default_rng(0)
CENTRES = RNG.normal(size=(12, 16))


def cloud(n: int, seed: int = 1, centres: int = 12) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (CENTRES[rng.integers(0, centres, n)] + 0.5 * rng.normal(size=(n, 16))).astype(np.float32)


TARGETS = cloud(8, seed=2, centres=3)
DOCUMENTS = cloud(600)
IDS = [f"doc-{k:04}" for k in range(600)]


def fed(n: int = 600, **settings: object) -> Selector:
    selector = Selector(TARGETS, SelectorConfig(**{"budget": 20, "sigma": 0.6, **settings}))
    columns = {"tokens": np.full(n, 10), "timestamps": np.arange(n)}
    selector.add(IDS[:n], DOCUMENTS[:n], **columns)
    return selector
