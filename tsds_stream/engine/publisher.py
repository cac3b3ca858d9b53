"""One target set's published side: numbers, records, and what consumers hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from math import isfinite
from typing import Protocol

import orjson

from tsds_stream.engine.difference import Difference, Held, difference
from tsds_stream.records import Json
from tsds_stream.selection.revision import Revision
from tsds_stream.selection.settings import SelectorConfig
from tsds_stream.streams.base import Positions, Publication, Sent

NEAREST = 3  # target examples named with every selected document


@dataclass(frozen=True, slots=True)
class Body:
    """What is sent of a document besides numbers."""

    text: str | None
    meta: Json
    source: Json


def parameters_digest(config: SelectorConfig) -> str:
    """Hex; equal for equal parameters of a target set."""
    return blake2b(orjson.dumps(config.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS), digest_size=8).hexdigest()


Bodies = Callable[[Sequence[str], Sequence[bytes]], list[Body]]  # (ids, keys of their points) -> aligned


class Selecting(Protocol):
    """What is asked of a selector besides its revisions."""

    @property
    def max_k(self) -> int: ...
    @property
    def documents_seen(self) -> int: ...
    @property
    def pending_targets(self) -> Sequence[str]: ...
    def nearest_targets(self, ids: Sequence[str], count: int) -> list[list[tuple[str, float]]]: ...


@dataclass(frozen=True, slots=True)
class Prospect:
    """A publication that is not committed yet, and what consumers will hold after it."""

    publication: Publication
    held: Held


class Publisher:
    """Turns revisions of a selector into numbered publications. Numbers are consecutive, whatever the selector counts.

    Args:
        name: of the target set.
        weight_change: share by which p or weight may move before a document is sent again.
        embedder, parameters: fingerprints, part of every record.
        record, members: what the sink holds: the last revision record, and what was sent of each member.
    """

    def __init__(
        self,
        name: str,
        weight_change: float,
        embedder: str,
        parameters: str,
        record: Json | None,
        members: dict[str, Sent],
    ) -> None:
        self.name = name
        self.record = record
        self._weight_change = weight_change
        self._embedder = embedder
        self._parameters = parameters
        self._held = Held.of(members)

    @property
    def number(self) -> int:
        """Of the last published revision; 0: none."""
        return int(self.record["revision"]) if self.record is not None else 0

    @property
    def published(self) -> Sequence[str]:
        """Ids of the documents that consumers hold, ascending."""
        return self._held.ids

    def differs(self, selector: Selecting) -> bool:
        """What is published was made with other parameters than `selector`'s, or of more documents than it has seen."""
        last = self.record
        return last is not None and (
            self._reparametrised(last) or int(last.get("documents_seen", 0)) > selector.documents_seen
        )

    def _reparametrised(self, last: Json) -> bool:
        return bool(last.get("parameters", self._parameters) != self._parameters)

    def prospect(
        self,
        revision: Revision,
        selector: Selecting,
        positions: Positions,
        now: int,
        bodies: Bodies,
        *,
        final: bool = False,
    ) -> Prospect | None:
        """The publication that makes consumers hold `revision`, or None when there is nothing to tell them.

        Args:
            selector: which has made it.
            final: nothing is expected to follow, so that a digest which moved with values too small to be sent is
                reason enough for a revision.
        """
        change = difference(self._held, revision, self._weight_change)
        if change.empty and not self._news(revision, final):
            return None
        record = self._record(revision, selector, change, positions, now)
        chosen = change.send.tolist()
        ids = [revision.ids[i] for i in chosen]
        keys = [revision.keys[i] for i in chosen]
        upserts = [
            {
                "set": self.name,
                "id": revision.ids[i],
                "revision": record["revision"],
                "probability": float(revision.probabilities[i]),
                "weight": float(revision.weights[i]),
                "density": _number(revision.densities[i]),
                "multiplicity": int(revision.multiplicities[i]),
                "nearest": [[target, float(distance)] for target, distance in near],
                "text": body.text,
                "meta": body.meta,
                "source": body.source,
            }
            for i, body, near in zip(chosen, bodies(ids, keys), selector.nearest_targets(ids, NEAREST), strict=True)
        ]
        members = (list(revision.ids), revision.probabilities.tolist(), revision.weights.tolist())
        return Prospect(Publication(self.name, record, upserts, keys, change.removed, members), change.held)

    def committed(self, prospect: Prospect) -> None:
        """The sink has taken it."""
        self.record = prospect.publication.revision
        self._held = prospect.held

    def _news(self, revision: Revision, final: bool) -> bool:
        """Whether something besides the members is new."""
        last = self.record
        return (
            last is None
            or bool(last["exact"]) != revision.exact
            or list(last["reasons"]) != list(revision.reasons)
            or last["targets_active"] != revision.targets_active
            or last["targets_digest"] != revision.targets_digest
            or self._reparametrised(last)
            or (final and last["digest"] != revision.digest)
        )

    def _record(
        self, revision: Revision, selector: Selecting, change: Difference, positions: Positions, now: int
    ) -> Json:
        return {
            "set": self.name,
            "revision": self.number + 1,
            "size": len(revision.ids),
            "added": change.added,
            "removed": len(change.removed),
            "exact": revision.exact,
            "reasons": list(revision.reasons),
            "short_of_budget": revision.short_of_budget,
            "documents_seen": selector.documents_seen,  # a revision that says the same as before is of an earlier state
            "positions": positions,
            "targets_active": revision.targets_active,
            "targets_pending": revision.targets_pending,
            "targets_digest": revision.targets_digest,
            "pending": list(selector.pending_targets),
            "max_k": selector.max_k,
            "s": _number(revision.s),
            "tau": _number(revision.tau),
            "alpha": _number(revision.alpha),
            "sigma": _number(revision.sigma),
            "support": revision.support,
            "transport_cost": _number(revision.transport_cost),
            "effective_sample_size": _number(revision.effective_sample_size),
            "truncated": revision.truncated,
            "short": revision.short,
            "digest": revision.digest,
            "published_digest": change.held.digest,
            "selection_end": None,
            "embedder": self._embedder,
            "parameters": self._parameters,
            "created": now,
        }


def _number(value: float | None) -> float | None:
    """JSON has no infinity and no NaN: they are null in records."""
    return float(value) if value is not None and isfinite(value) else None
