"""One target set while it runs: its selector, what it has published, and the examples it was given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np

from tsds_stream.engine.preparation import Preparer
from tsds_stream.engine.publisher import Publisher
from tsds_stream.records import Json, Target
from tsds_stream.selection.arithmetic import Float32
from tsds_stream.selection.selector import Selector
from tsds_stream.selection.settings import SelectorConfig


class TargetsError(Exception):
    """The examples of a target set cannot be used; the message says which and what to do."""


@dataclass(slots=True)
class TargetSet:
    """Everything the engine holds of one task.

    Attributes:
        declared: target id -> fingerprint of the example as it was last read.
        targets_at: up to where its examples were taken up, where they come as a stream.
        groups: target id -> the group that its example names.
    """

    name: str
    config: SelectorConfig
    selector: Selector
    publisher: Publisher
    declared: dict[str, str] = field(default_factory=dict)
    targets_at: Json | None = None
    groups: dict[str, str | None] = field(default_factory=dict)

    def take_up_published_sigma(self) -> None:
        """Freeze sigma where it was published as frozen, should the state that knew it be lost."""
        record = self.publisher.record
        if (
            record is None
            or self.selector.calibrated
            or not self.config.uses_sigma
            or "provisional" in record["reasons"]
        ):
            return
        if record["sigma"] is not None:
            self.selector.calibrate(record["sigma"])

    def as_record(self) -> Json:
        """What a checkpoint keeps besides the selector."""
        return {
            "config": self.config.model_dump(mode="json"),
            "declared": dict(self.declared),  # a copy: it is written later, in another thread
            "targets_at": self.targets_at,
            "revision": self.publisher.number,
        }


@dataclass(frozen=True, slots=True)
class Examples:
    """Targets with their vectors, aligned."""

    ids: list[str]
    vectors: Float32  # (M, d)
    weights: list[float]


def embedded(
    name: str, targets: Sequence[Target], preparer: Preparer, dimension: int, *, tolerant: bool = False
) -> tuple[Examples, str | None]:
    """The vectors of target examples, and a sentence that names those that have none and are left out.

    Args:
        tolerant: leave out what cannot be used.

    Raises:
        TargetsError: some cannot be used, and `tolerant` does not leave them out; or none is left.
        GivenUpError: the engine was asked to leave while the embedder was out.
    """
    texts = [i for i, target in enumerate(targets) if target.embedding is None]
    result = preparer.embed_patiently([targets[i].text or "" for i in texts]) if texts else None
    problems = {
        i: f"{target.id!r} has {len(target.embedding)} numbers instead of {dimension}"
        for i, target in enumerate(targets)
        if target.embedding is not None and target.embedding.shape != (dimension,)
    }
    vectors = np.zeros((len(targets), dimension), np.float32)
    if result is not None:
        vectors[texts] = result.vectors
        problems |= {texts[i]: f"{targets[texts[i]].id!r}: {why.detail}" for i, why in result.failures.items()}
    for i, target in enumerate(targets):
        if target.embedding is not None and i not in problems:
            vectors[i] = target.embedding
    good = [i for i in range(len(targets)) if i not in problems]
    told = "; ".join(problems[i] for i in sorted(problems))
    if problems and not (tolerant and good):
        raise TargetsError(f"target set {name!r} has examples without a usable vector: {told}")
    chosen = [targets[i] for i in good]
    examples = Examples([target.id for target in chosen], vectors[good], [target.weight for target in chosen])
    return examples, told or None


def fingerprint(target: Target) -> str:
    """Hex; equal for examples that ask for the same (the group is a label and changes nothing)."""
    state = blake2b(digest_size=16)
    if target.embedding is not None:
        state.update(b"v" + np.ascontiguousarray(target.embedding, "<f4").tobytes())
    else:
        state.update(b"t" + (target.text or "").encode("utf-8", "surrogatepass"))
    state.update(np.float64(target.weight).tobytes())
    return state.hexdigest()
