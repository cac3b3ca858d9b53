"""A small language model: a transformer that predicts the next token."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Shape:
    """How large the model is. Heads are 32 wide."""

    vocabulary: int = 2048
    length: int = 128  # tokens
    width: int = 192
    layers: int = 6


class Block(nn.Module):
    """Attention to what came before, then a layer for each token by itself."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = width // 32
        self.before_attention, self.before_feeding = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention, self.mixed = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.feeding = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        every = self.attention(self.before_attention(x)).view(batch, length, 3, self.heads, 32)
        query, key, value = every.permute(2, 0, 3, 1, 4)
        found = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.mixed(found.transpose(1, 2).reshape(batch, length, width))
        return x + self.feeding(self.before_feeding(x))


class Transformer(nn.Module):
    """(batch, length) int64 tokens -> (batch, length, vocabulary) float32 logits of the token after each."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.tokens = nn.Embedding(shape.vocabulary, shape.width)
        self.positions = nn.Embedding(shape.length, shape.width)
        self.blocks = nn.Sequential(*(Block(shape.width) for _ in range(shape.layers)))
        self.last = nn.LayerNorm(shape.width)
        for embedding in (self.tokens, self.positions):
            nn.init.normal_(embedding.weight, std=0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.tokens(tokens) + self.positions(torch.arange(tokens.shape[1]))
        return functional.linear(self.last(self.blocks(x)), self.tokens.weight)
