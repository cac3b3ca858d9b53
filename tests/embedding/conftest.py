"""A server that misbehaves, an embedder that asks it, and a clock that only they move."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from tests.embedding import servers
from tests.embedding.servers import EmbeddingServer, vector_of
from tsds_stream.embedding.http import HttpEmbedder
from tsds_stream.embedding.settings import HttpSettings

KEY = "sk-very-secret-0123456789"


class World:
    """Time that passes only when somebody sleeps, and jitter that is always the most."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def uniform(self, low: float, high: float) -> float:
        assert low == 0.0
        return high


Make = Callable[..., HttpEmbedder]


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    with servers.running() as running:
        yield running


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def make(server: EmbeddingServer, world: World) -> Iterator[Make]:
    made: list[HttpEmbedder] = []

    def make_one(**options: Any) -> HttpEmbedder:
        settings = HttpSettings.model_validate({"url": server.url, "dimension": servers.DIMENSION, **options})
        made.append(
            HttpEmbedder(settings, clock=world.clock, sleep=world.sleep, uniform=world.uniform, now=lambda: world.now)
        )
        return made[-1]

    yield make_one
    for embedder in made:
        embedder.close()


def expected(texts: list[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.array([vector_of(text) for text in texts], np.float32)
