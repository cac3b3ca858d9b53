"""One seed of a table on images: digits of a mix as targets, all digits as the pool, clean or with noisy copies."""

from __future__ import annotations

from random import Random
from typing import Final

import numpy as np

from benchmarks.evidence.copies import numbers_of_copies
from benchmarks.evidence.corpora.images import Components, Images, Pixels, images
from benchmarks.evidence.mixes import Mix
from benchmarks.evidence.trials import DEFAULTS, SEED, Examination, Trial
from tsds_stream.comparison.near_copies import near_copy_distance
from tsds_stream.comparison.pool import Pool, Targets
from tsds_stream.comparison.task import Task
from tsds_stream.selection.arithmetic import Int64, canonical

CLASSES: Final = 10
NOISE: Final = (0.05, 0.1, 0.15)  # standard deviation of a copy's pixels, of the range of a pixel
_ASKED: Final = 200  # images of each digit of the mix that the classifier is asked about
_HELD_OUT: Final = 300


class ImageSplit:
    """Targets, held-out targets and a pool: a function of the seed.

    Args:
        documents: of the pool, without copies. copied: the share of them that gets copies.
    """

    def __init__(self, mix: Mix, seed: int, documents: int, targets: int, copied: float = 0.0) -> None:
        random = np.random.default_rng((SEED, seed))
        train, test = images()
        order = random.permutation(len(train.digits))
        self._seed = seed
        self._shares = np.zeros(CLASSES)
        for digit, share in mix.items():
            self._shares[int(digit)] = share
        asked = _of_mix(order, train, mix, targets)
        order = order[~np.isin(order, asked)]
        unseen = _of_mix(order, train, mix, _HELD_OUT)
        base = order[~np.isin(order, unseen)][:documents]

        components = Components(train.pixels[base])
        self._targets = _examples(components, train, asked)
        self._held_out = _examples(components, train, unseen)
        answers = np.concatenate([np.flatnonzero(test.digits == int(digit))[:_ASKED] for digit in mix])
        vectors = canonical(components.embed(test.pixels[answers]))
        self._examination = Examination(vectors, test.digits[answers], CLASSES)

        chosen = random.permutation(len(base))[: round(copied * len(base))]
        repeats = numbers_of_copies(len(chosen), Random(seed))
        sources = np.concatenate([np.arange(len(base)), np.repeat(chosen, repeats)])
        pixels = np.concatenate([train.pixels[base], _noisy(train.pixels[base][sources[len(base) :]], random)])
        arrival = random.permutation(len(sources))
        ids = [f"{number:06d}" for number in range(len(arrival))]
        embedded = components.embed(pixels[arrival])
        self._sources = sources[arrival]
        self._labels = train.digits[base][self._sources]
        self._pool = Pool.of(ids, embedded, np.ones(len(arrival), np.int64))

    def trial(self, budget: int) -> Trial:
        """For so many images."""
        near_copy = near_copy_distance(self._pool, self._targets, DEFAULTS.calibration)
        task = Task.of(self._pool, self._targets, budget, near_copy, self._seed)
        return Trial(task, self._held_out, self._sources, self._labels, self._shares, examination=self._examination)


def _of_mix(order: Int64, found: Images, mix: Mix, number: int) -> Int64:
    parts = [order[found.digits[order] == int(digit)][: round(number * share)] for digit, share in mix.items()]
    return np.concatenate(parts)


def _examples(components: Components, found: Images, rows: Int64) -> Targets:
    return Targets.of([f"{number:05d}" for number in range(len(rows))], components.embed(found.pixels[rows]))


def _noisy(pixels: Pixels, random: np.random.Generator) -> Pixels:
    amplitude = random.choice(NOISE, len(pixels))[:, None] * 255
    noise = random.standard_normal(pixels.shape, np.float32)
    return np.clip(np.rint(pixels + amplitude * noise), 0, 255).astype(np.uint8)
