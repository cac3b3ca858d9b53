"""A small language model with attention (torch): trained from nothing, then further on a selection."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tsds_stream.comparison.words import Words
from tsds_stream.selection.arithmetic import Int64

END: Final = 0  # stands behind every text, and in front of the first
CONTEXT, BATCH = 128, 8
_RATE: Final = 1e-3
_WARMING: Final = 20  # steps


@dataclass(frozen=True)
class Coding:
    """Words as numbers: the most frequent ones have their own, the others share `buckets`.

    Attributes:
        known: the number of each frequent word, from 1. size: numbers in use.
    """

    known: dict[str, int]
    buckets: int

    @classmethod
    def of(cls, texts: Words, words: int = 4000, buckets: int = 96) -> Coding:
        """Of the most frequent words of some texts."""
        frequent = np.argsort(-np.bincount(texts.flat, minlength=len(texts.lexicon)), kind="stable")[:words]
        spelt = texts.lexicon.words
        return cls({spelt[word]: 1 + place for place, word in enumerate(frequent.tolist())}, buckets)

    @property
    def size(self) -> int:
        return 1 + len(self.known) + self.buckets

    def stream(self, texts: Words) -> Int64:
        """All texts, one after the other, `END` before, between and behind them; of any lexicon."""
        numbers = (1 + len(self.known) + texts.lexicon.hashes % np.uint64(self.buckets)).astype(np.int64)
        for place, word in enumerate(texts.lexicon.words):
            numbers[place] = self.known.get(word, numbers[place])
        out = np.full(len(texts.flat) + len(texts) + 1, END, np.int64)
        text = np.repeat(np.arange(len(texts)), texts.lengths)
        out[1 + np.arange(len(texts.flat)) + text] = numbers[texts.flat]
        return out


class Transformer(nn.Module):
    """Decoder with normalisation before every part, learnt positions, and one matrix for input and output words."""

    def __init__(self, words: int, width: int = 128, layers: int = 3, heads: int = 4) -> None:
        super().__init__()
        self.words = nn.Embedding(words, width)
        self.places = nn.Embedding(CONTEXT, width)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, heads, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True)
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        nn.init.normal_(self.words.weight, std=0.02)
        nn.init.normal_(self.places.weight, std=0.02)

    def forward(self, words: Tensor) -> Tensor:
        """(b, t) numbers of words to (b, t, words) scores of the next ones."""
        length = words.shape[1]
        hidden = self.words(words) + self.places.weight[:length]
        mask = nn.Transformer.generate_square_subsequent_mask(length)
        for layer in self.layers:
            hidden = layer(hidden, src_mask=mask, is_causal=True)
        return self.norm(hidden) @ self.words.weight.T


def fresh(words: int, seed: int) -> Transformer:
    """With random weights, a function of the seed."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    return Transformer(words)


def trained(model: Transformer, stream: Int64, predictions: int, seed: int, rate: float = _RATE) -> Transformer:
    """A copy that has made so many predictions of the stream, in random pieces, from the beginning when it has ended.

    The rate of learning (AdamW) rises at first and falls to a tenth along a cosine.
    """
    model = copy.deepcopy(model).train()
    random = np.random.default_rng(seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01)
    steps = max(1, predictions // (BATCH * CONTEXT))
    left = np.empty(0, np.int64)  # pieces that this reading has not come to
    for step in range(steps):
        factor = min(1.0, (step + 1) / _WARMING) * (0.55 + 0.45 * np.cos(np.pi * step / steps))
        for group in optimiser.param_groups:
            group["lr"] = rate * factor
        while len(left) < BATCH:
            left = np.concatenate([left, random.permutation((len(stream) - 1) // CONTEXT)])
        pieces, left = left[:BATCH] * CONTEXT, left[BATCH:]
        window = torch.from_numpy(stream[pieces[:, None] + np.arange(CONTEXT + 1)])
        loss = functional.cross_entropy(model(window[:, :-1]).flatten(0, 1), window[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    return model


@torch.no_grad()
def loss_of(model: Transformer, stream: Int64) -> float:
    """Mean negative log-likelihood of the words of a stream, cut into pieces of the context's length."""
    model.eval()
    whole = (len(stream) - 1) // CONTEXT * CONTEXT
    starts = np.arange(0, whole, CONTEXT)
    total = 0.0
    for first in range(0, len(starts), 32):
        part = starts[first : first + 32]
        window = torch.from_numpy(stream[part[:, None] + np.arange(CONTEXT + 1)])
        scores = model(window[:, :-1]).flatten(0, 1)
        total += float(functional.cross_entropy(scores, window[:, 1:].flatten(), reduction="sum"))
    return total / whole
