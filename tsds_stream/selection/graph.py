"""A growing HNSW graph with numbered nodes: the only module that knows hnswlib.

What hnswlib 0.8 needs is done here or asked of the caller: nodes are numbered once and never reused (adding a deleted
label again relinks the old node in place; replacing deleted ones is slow and leaves nodes that cannot be deleted),
`ef` is set again after loading, a batch that one row fails is split, and a saved file's size is compared. Nothing may
run beside `add` (it resizes) or `delete`; searches and `save` may run beside each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hnswlib
import numpy as np

from tsds_stream.selection.arithmetic import Float32, Int64
from tsds_stream.selection.index_files import DamagedIndexError


@dataclass(frozen=True)
class HnswParameters:
    """Settings of a graph.

    Attributes:
        m: links per node.
        ef_construction: breadth of the search when a node is linked.
        ef_search: breadth of a query's search (a query for more neighbours searches as many).
        seed: of the node levels. With several threads the graph still depends on their timing.
        threads: for adds and queries; hnswlib itself uses one below four rows per thread.
        rebuild_share: tombstones, as a share of all nodes, beyond which a new graph is built in the background.
        rebuild_minimum: and at least so many tombstones.
    """

    m: int = 16
    ef_construction: int = 100
    ef_search: int = 100
    seed: int = 100
    threads: int = 2
    rebuild_share: float = 0.3
    rebuild_minimum: int = 1000


class Graph:
    """Vectors linked as nodes 0, 1, 2, … in the order of arrival."""

    def __init__(self, dimension: int, parameters: HnswParameters, capacity: int) -> None:
        self.parameters = parameters
        self.nodes = 0
        self.capacity = max(capacity, 1024)
        self.index: Any = hnswlib.Index(space="l2", dim=dimension)
        self.index.init_index(
            max_elements=self.capacity,
            M=parameters.m,
            ef_construction=parameters.ef_construction,
            random_seed=parameters.seed,
        )
        self._prepare()

    def _prepare(self) -> None:
        self.index.set_ef(self.parameters.ef_search)  # not part of a saved graph
        self.index.set_num_threads(self.parameters.threads)

    def add(self, vectors: Float32) -> None:
        """Link vectors as nodes `nodes`, `nodes` + 1, …, growing first when there is no room."""
        stop = self.nodes + len(vectors)
        if stop > self.capacity:
            self.capacity = max(stop, self.capacity + self.capacity // 2)
            self.index.resize_index(self.capacity)
        self.index.add_items(vectors, np.arange(self.nodes, stop), num_threads=self.parameters.threads)
        self.nodes = stop

    def delete(self, nodes: Int64) -> None:
        """Mark nodes deleted: they still route searches and are no longer found."""
        for node in nodes.tolist():
            self.index.mark_deleted(node)

    def search(self, vectors: Float32, k: int) -> tuple[Int64, Float32]:
        """The nearest k nodes found and their float32 squared distances, ascending; (n, k) each.

        hnswlib fails a whole batch when a single row reaches fewer than k nodes. Halving the batch finds these rows;
        their first node is -1.
        """
        try:
            nodes, squared = self.index.knn_query(vectors, k=k, num_threads=self.parameters.threads)
        except RuntimeError:
            if len(vectors) == 1:
                return np.full((1, k), -1, np.int64), np.zeros((1, k), np.float32)
            middle = len(vectors) // 2
            first, second = self.search(vectors[:middle], k), self.search(vectors[middle:], k)
            return np.concatenate([first[0], second[0]]), np.concatenate([first[1], second[1]])
        return nodes.astype(np.int64), squared

    def save(self, path: Path) -> None:
        """Write the graph; hnswlib reports no error on a full disk, so the size is compared."""
        self.index.save_index(str(path))
        expected = int(self.index.index_file_size())
        if path.stat().st_size != expected:
            raise OSError(f"{path} has {path.stat().st_size} bytes instead of {expected}: is the disk full?")

    @classmethod
    def load(cls, path: Path, dimension: int, parameters: HnswParameters, nodes: int) -> Graph:
        """Read a graph whose bytes were verified before."""
        graph = cls.__new__(cls)
        graph.parameters, graph.nodes, graph.capacity = parameters, nodes, max(nodes + nodes // 2, 1024)
        graph.index = hnswlib.Index(space="l2", dim=dimension)
        graph.index.load_index(str(path), max_elements=graph.capacity)
        if graph.index.element_count != nodes:
            raise DamagedIndexError(f"{path} holds {graph.index.element_count} nodes, not {nodes}; rebuild the index")
        graph._prepare()
        return graph
