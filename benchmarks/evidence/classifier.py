"""Multinomial logistic regression: what a selection of labelled examples teaches."""

from __future__ import annotations

from typing import Final

import numpy as np

from tsds_stream.selection.arithmetic import Float32, Float64, Int64

PENALTY: Final = 1e-3
_GRADIENT: Final = 1e-6  # the largest entry at which the solution counts as found
_STEPS: Final = 20_000


class Classifier:
    """The least of the mean cross-entropy + PENALTY/2 · |weights|², the constant terms not penalised.

    Args:
        features: (n, d). labels: (n,) in 0 .. classes - 1.
    """

    def __init__(self, features: Float32, labels: Int64, classes: int) -> None:
        rows = _with_constant(features)
        wanted = np.eye(classes)[labels]
        penalty = np.full((rows.shape[1], 1), PENALTY)
        penalty[-1] = 0.0
        # The second derivative of the cross-entropy is at most half of the features'.
        step = 1.0 / (0.5 * float(np.linalg.eigvalsh(rows.T @ rows / len(rows))[-1]) + PENALTY)
        self._weights: Float64 = np.zeros((rows.shape[1], classes))
        ahead, momentum = self._weights, 1.0
        for _ in range(_STEPS):  # Nesterov's accelerated gradient
            gradient = rows.T @ (_probabilities(rows @ ahead) - wanted) / len(rows) + penalty * ahead
            if np.abs(gradient).max() < _GRADIENT:
                break
            before, self._weights = self._weights, ahead - step * gradient
            if (gradient * (self._weights - before)).sum() > 0:  # overshot: start the momentum again
                momentum = 1.0
            faster = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
            ahead = self._weights + (momentum - 1) / faster * (self._weights - before)
            momentum = faster
        self._weights = ahead

    def probabilities(self, features: Float32) -> Float64:
        """(n, classes)."""
        return _probabilities(_with_constant(features) @ self._weights)

    def error(self, features: Float32, labels: Int64) -> float:
        """Share of wrong answers."""
        return float((self.probabilities(features).argmax(1) != labels).mean())


def _with_constant(features: Float32) -> Float64:
    return np.column_stack([features.astype(np.float64), np.ones(len(features))])


def _probabilities(scores: Float64) -> Float64:
    raised = np.exp(scores - scores.max(1, keepdims=True))
    shares: Float64 = raised / raised.sum(1, keepdims=True)
    return shares
