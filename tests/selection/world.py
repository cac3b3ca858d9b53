"""A small world for selectors: a stream of operations, and what is true after each."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np

from tests.selection.selection_oracle import Live, Truth, batch
from tsds_stream import Selector, SelectorConfig

EXACT_WITHOUT_LOSS = {"truncated", "count"}  # the only reasons a selection may give when no row has lost a point


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
        if rng.random() < 0.2:  # nothing but ties
            corners = np.stack(np.meshgrid(*[[-1, 0, 1]] * min(dimension, 3)), -1).reshape(-1, min(dimension, 3))
            self.palette = np.zeros((len(corners) - 1, dimension), np.float32)
            self.palette[:, : corners.shape[1]] = corners[corners.any(1)]
        self.documents: dict[str, Live] = {}
        self.log: list[tuple[str, Live | None]] = []  # every record and retraction, in order
        self.adopted_at = 0  # length of the log at the last adoption
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
            self.log += part
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
        self.log += [(name, None) for name in sorted(names)]
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
            self._remember_the_past()
        self.lost = True

    def _remember_the_past(self) -> None:
        self.unseen_past = dict(self.documents)
        self.adopted_at = len(self.log)

    def remove_target(self) -> None:
        if len(self.targets) > 1:
            name = sorted(self.targets)[int(self.rng.integers(len(self.targets)))]
            self.selector.remove_targets([name])
            del self.targets[name]

    def backfill(self, complete: bool) -> None:
        if self.config.refill == "auto" and self.selector.refill_needed and self.unseen_past is None:
            self.selector.begin_refill()
            self._remember_the_past()
        if not self.selector.waiting:
            self.unseen_past = None
        if self.unseen_past is None:
            return
        if self.rng.random() < 0.5:
            # What is gone since the adoption is given all the same: the selector has to leave it alone.
            past: list[tuple[str, Live | None]] = list(self.unseen_past.items())
            self.rng.shuffle(past)
        else:
            past = self.log[: self.adopted_at]
        for start in range(0, len(past), 4):
            self._backfill_part(past[start : start + 4])
            if self.rng.random() < 0.1:
                self.add(2)
            if self.rng.random() < 0.1:
                self.reload()
        self.selector.finish_backfill(complete)
        self.unseen_past = None

    def _backfill_part(self, part: list[tuple[str, Live | None]]) -> None:
        for name, live in part:
            if live is None:
                self.selector.backfill_remove([name])
            else:
                self.selector.backfill(
                    [name],
                    live.vector[None],
                    tokens=np.array([live.tokens], np.int64),
                    timestamps=np.array([live.timestamp], np.int64),
                )

    def ask(self) -> None:
        """Questions, which must change nothing."""
        selector, rng = self.selector, self.rng
        if not selector.target_ids or not selector.documents_seen:
            return
        held = sorted(name for name, _ in selector.held())
        mine = [name for name, is_held in zip(held, selector.holds(held), strict=True) if is_held][:3]
        question = rng.integers(5)
        if question == 0:
            sigma = [0.1, 0.9, "auto", 0][rng.integers(4)]
            selector.preview(budget=int(rng.integers(1, 9)), sigma=sigma, seed=int(rng.integers(9)))
        elif question == 1:
            selector.probabilities()  # lets go of what no shortlist holds any more
            mine = [name for name, is_held in zip(mine, selector.holds(mine), strict=True) if is_held]
            selector.densities(mine)
            selector.nearest_targets(mine)
        elif question == 2:
            for name in mine:
                selector.explain(name).sentences()
        elif question == 3:
            selector.probabilities()
            selector.served()
        else:
            selector.explain_embedding(self._vector()).sentences()

    def reconfigure(self) -> None:
        """Other values of parameters that may change on the way."""
        changes: dict[str, object] = {
            "seed": int(self.rng.integers(9)),
            "spread": float(self.rng.choice([0.5, 1.5, 4])),
        }
        if self.config.budget is not None:
            changes["budget"] = int(self.rng.integers(1, 9))
        self.config = SelectorConfig(**{**self.config.model_dump(), **changes})
        self.selector.reconfigure(self.config)

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
