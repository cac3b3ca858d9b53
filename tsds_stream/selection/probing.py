"""How good an approximate index is on the data at hand."""

from __future__ import annotations

import numpy as np

from tsds_stream.selection.core import Core
from tsds_stream.selection.density import Density
from tsds_stream.selection.graph_density import GraphDensity
from tsds_stream.selection.recall import recall_probe
from tsds_stream.selection.reservoir import StreamReservoir

_MOST_POINTS = 65_536  # indexed points that the neighbours are sought among: bounds the products


def measured_recall(core: Core, density: Density | None, sample: int) -> float | None:
    """Share of true neighbours within sigma that the graph finds, for a uniform sample of the indexed points.

    Args:
        sample: points whose neighbours are sought; which ones is decided by their hash, so a repetition agrees.

    Returns:
        None where densities are exact.
    """
    if not isinstance(density, GraphDensity):
        return None
    store = core.pool.store
    indexed = np.flatnonzero(density.counted)
    reservoir = StreamReservoir(sample, core.dimension, core.config.seed, core.name)
    reservoir.add(store.words[indexed], store.vectors[indexed])
    # A point is trivially its own neighbour, so those that ask are not among those to be found.
    asking = np.isin(store.words[indexed, 0], reservoir.words[:, 0])
    others = indexed[~asking]
    others = others[:: -(-len(others) // _MOST_POINTS) or 1]
    return recall_probe(
        density.graph, others, store.vectors[others], reservoir.vectors, density.sigma, core.config.kde_k
    )
