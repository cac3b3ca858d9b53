"""A small world for selectors: a stream of operations, and what is true after each."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np

from tests.selection.selection_oracle import Live, Truth, batch
from tsds_stream import Selector, SelectorConfig

EXACT_WITHOUT_LOSS = {"truncated"}  # the only reason a selection may give when no row has lost a point


class World:
    """Feeds a selector and keeps what a batch computation would see.

    Vectors come from a palette with many ties, copies and opposite directions, so that keys decide often.
    """

    def __init__(self, rng: np.random.Generator, config: SelectorConfig, queries: int, dimension: int) -> None:
        self.rng = rng
        grid = rng.integers(-2, 3, (14, dimension)).astype(np.float32)
        grid[~grid.any(1), 0] = 1
        cloud = rng.normal(size=(10, dimension)).astype(np.float32)
        near = grid[:8] + rng.normal(scale=0.05, size=(8, dimension)).astype(np.float32)
        self.palette = np.concatenate([grid, cloud, near])
        self.documents: dict[str, Live] = {}
        self.unseen_past: dict[str, Live] | None = None  # live documents as of the last adoption
        self.backfilled: set[str] = set()
        self.clock = 0
        self.targets = {f"q{k}": (self._vector(), float(rng.integers(1, 4))) for k in range(queries)}
        ids = list(self.targets)
        rng.shuffle(ids)
        self.selector = Selector(
            np.stack([self.targets[i][0] for i in ids]),
            config,
            target_ids=ids,
            target_weights=[self.targets[i][1] for i in ids],
        )
        self.config = config
        self.lost = False  # a retraction, an expiry or a late target: rows may be short
        self.max_k = self.selector.max_k

    def _vector(self) -> np.ndarray:
        row = self.palette[self.rng.integers(len(self.palette))]
        return row * np.float32(2.0 ** self.rng.integers(-3, 4))  # scaling by powers of two leaves the point alone

    def add(self, count: int) -> None:
        names = [f"d{self.rng.integers(40)}" for _ in range(count)]
        records = []
        for name in names:
            again = self.documents.get(name)
            vector = again.vector if again is not None and self.rng.random() < 0.3 else self._vector()
            self.clock += int(self.rng.integers(0, 3))
            stamp = self.clock - int(self.rng.integers(0, 12))
            records.append((name, Live(vector, int(self.rng.integers(1, 9)), stamp)))
        cuts = np.sort(self.rng.integers(0, count + 1, 2)).tolist()
        for start, stop in zip([0, *cuts], [*cuts, count], strict=True):
            part = records[start:stop]
            self.selector.add(
                [name for name, _ in part],
                np.stack([live.vector for _, live in part]) if part else np.empty((0, self.palette.shape[1])),
                tokens=np.array([live.tokens for _, live in part], np.int64),
                timestamps=np.array([live.timestamp for _, live in part], np.int64),
            )
            for name, live in part:
                if name in self.documents:
                    self.lost = True
                self.documents[name] = live
                self.high = max(getattr(self, "high", -(10**9)), live.timestamp)
                if self.unseen_past is not None:
                    self.unseen_past.pop(name, None)
        self._expire()

    def _expire(self) -> None:
        if self.config.ttl is not None:
            dead = [n for n, live in self.documents.items() if live.timestamp <= self.high - self.config.ttl]
            for name in dead:
                del self.documents[name]
                self.lost = True
                if self.unseen_past is not None:
                    self.unseen_past.pop(name, None)

    def remove(self, count: int) -> None:
        names = {f"d{self.rng.integers(40)}" for _ in range(count)}
        self.selector.remove(sorted(names))
        for name in names:
            self.documents.pop(name, None)
            if self.unseen_past is not None:
                self.unseen_past.pop(name, None)
        self.lost = True

    def add_target(self) -> None:
        name, vector, weight = f"q{self.rng.integers(12)}", self._vector(), float(self.rng.integers(1, 4))
        self.selector.add_targets([name], vector[None], [weight])
        self.targets[name] = (vector, weight)
        self._adopted()

    def _adopted(self) -> None:
        if self.selector.pending_targets:
            self.unseen_past = dict(self.documents)
        self.lost = True

    def remove_target(self) -> None:
        if len(self.targets) > 1:
            name = sorted(self.targets)[int(self.rng.integers(len(self.targets)))]
            self.selector.remove_targets([name])
            del self.targets[name]

    def backfill(self, complete: bool) -> None:
        if self.config.refill == "auto" and self.selector.refill_needed and self.unseen_past is None:
            self.selector.begin_refill()
            self.unseen_past = dict(self.documents)
        if not self.selector.waiting:
            self.unseen_past = None
        if self.unseen_past is None:
            return
        # What changed since the adoption was taken out of the past; give a stale version of it all the same.
        names = list(self.unseen_past)
        self.rng.shuffle(names)
        for start in range(0, len(names), 5):
            part = names[start : start + 5]
            if not part:
                break
            self.selector.backfill(
                part,
                np.stack([self.unseen_past[n].vector for n in part]),
                tokens=np.array([self.unseen_past[n].tokens for n in part], np.int64),
                timestamps=np.array([self.unseen_past[n].timestamp for n in part], np.int64),
            )
            if self.rng.random() < 0.3:
                self.add(2)
                names[start + 5 :] = [n for n in names[start + 5 :] if n in (self.unseen_past or {})]
        self.selector.finish_backfill(complete)
        self.unseen_past = None

    def reload(self) -> None:
        directory = Path(tempfile.mkdtemp())
        try:
            self.selector.save(directory)
            self.selector = Selector.load(directory)
        finally:
            shutil.rmtree(directory)

    def truth(self) -> Truth:
        active = set(self.selector.active_targets)
        targets = {name: value for name, value in self.targets.items() if name in active}
        return batch(self.documents, targets, self.config, self.selector.sigma, self.max_k)

    def check(self) -> str | None:
        """Compare the selection with a batch computation; what the revision says of itself."""
        revision = self.selector.refresh()
        if revision is None:
            return None
        assert revision.exact == (not revision.reasons)
        if not self.lost:
            assert set(revision.reasons) <= EXACT_WITHOUT_LOSS | {"provisional"}, revision.reasons
        truth = self.truth()
        if revision.exact:
            assert truth.truncated == 0
            assert revision.ids == truth.ids
            assert revision.digest == truth.digest
            # A revision stands while its members and their values do; a preview is always of the present.
            preview = self.selector.preview()
            assert preview.digest == truth.digest
            assert preview.s == truth.s
            assert preview.tau == truth.tau
            assert preview.transport_cost == truth.cost
            assert preview.effective_sample_size == truth.effective_sample_size
            assert preview.support == truth.support
        return "exact" if revision.exact else revision.reasons[0]
