"""Where a loader stands, and what of it has to be known to go on at the very next sample: a few integers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from tsds_stream.loader.order import Ordering
from tsds_stream.loader.reading import Documents, LoaderError
from tsds_stream.records import Json
from tsds_stream.streams.manifest import is_derived

FORMAT: Final = 1


class Cursor(NamedTuple):
    """A place in the sequence of batches.

    Attributes:
        revision: that is being served.
        epoch: how many orders were begun before this one. A pass over a revision is one, and so is what follows after
            a change to another revision.
        position: how many positions of the order all ranks together have served.
        step: how many batches each rank has served since the beginning of the run.
    """

    revision: int
    epoch: int = 0
    position: int = 0
    step: int = 0

    def next_epoch(self, revision: int | None = None) -> Cursor:
        return Cursor(self.revision if revision is None else revision, self.epoch + 1, 0, self.step)


@dataclass(frozen=True, slots=True)
class LoaderState:
    """What a checkpoint of a run holds of its loader.

    Attributes:
        decisions: step -> revision, of the decisions from `cursor.step` on that were made before their time, because
            batches are prepared ahead.
        global_batch: documents that all ranks serve in one step.
        digest: of the revision, so that no other one is taken for it.
        run: a name for what the run keeps from being deleted.
    """

    cursor: Cursor
    ordering: Ordering
    global_batch: int
    digest: str
    run: str
    decisions: Mapping[int, int] = field(default_factory=dict)

    def as_json(self) -> Json:
        return {
            "format": FORMAT,
            **cursor_as_json(self.cursor, self.decisions),
            "global_batch": self.global_batch,
            "digest": self.digest,
            "run": self.run,
            **ordering_as_json(self.ordering),
        }

    @classmethod
    def of(cls, state: Json) -> LoaderState:
        """Raises `LoaderError`: it is not the state of a loader, or of one that this version does not know."""
        try:
            if state["format"] != FORMAT:
                raise LoaderError(
                    f"The state has format {state['format']}, and this version reads {FORMAT}. Use the version that "
                    "wrote it."
                )
            cursor = Cursor(*(int(state[name]) for name in ("revision", "epoch", "position", "step")))
            if min(cursor) < 0:
                raise ValueError(f"{cursor} has a number below 0")
            ordering = Ordering(int(state["seed"]), bool(state["shuffle"]), state["sampling"])
            decisions = {int(step): int(revision) for step, revision in state["decisions"]}
            if any(step < cursor.step or revision < cursor.revision for step, revision in decisions.items()):
                raise ValueError(f"{decisions} has decisions from before {cursor}")
            return cls(cursor, ordering, int(state["global_batch"]), str(state["digest"]), str(state["run"]), decisions)
        except (KeyError, TypeError, ValueError) as error:
            raise LoaderError(f"This is not the state of a SelectedLoader: {type(error).__name__}: {error}.") from None


def cursor_as_json(cursor: Cursor, decisions: Mapping[int, int]) -> Json:
    """What of a state changes from batch to batch."""
    return {
        "revision": cursor.revision,
        "epoch": cursor.epoch,
        "position": cursor.position,
        "step": cursor.step,
        "decisions": [[step, revision] for step, revision in sorted(decisions.items())],
    }


def ordering_as_json(ordering: Ordering) -> Json:
    return {"seed": ordering.seed, "shuffle": ordering.shuffle, "sampling": ordering.sampling}


def digest_of_order(documents: Documents, ordering: Ordering) -> str:
    """Of what, besides the ordering, the order of a revision depends on.

    Weights of a copy that was made from what was published differ in their last digits from those of the selector.
    """
    digest = str(documents.record.get("digest", len(documents)))
    return f"{digest} as published" if ordering.sampling == "weight" and is_derived(documents.record) else digest


def check_position(position: int, documents: Documents, global_batch: int) -> None:
    """Raise `LoaderError` when a state stands beyond the end of its epoch, where nothing would be served."""
    if position >= len(documents) + global_batch:  # the last batch of an epoch may be filled up
        raise LoaderError(
            f"The state is damaged: it stands at position {position}, and revision {documents.number} has "
            f"{len(documents)} documents. Resume from another checkpoint."
        )


def check_ordering(found: Ordering, expected: Ordering) -> None:
    """Raise `LoaderError` when a state was taken under another order."""
    then, now = ordering_as_json(found), ordering_as_json(expected)
    different = [f"{name}={then[name]!r} there, {now[name]!r} here" for name in then if then[name] != now[name]]
    if different:
        raise LoaderError(
            f"The state is of a dataset with another order ({'; '.join(different)}). Make the dataset as it was made "
            "when the state was taken."
        )


def check_digest(found: str, documents: Documents, ordering: Ordering) -> None:
    """Raise `LoaderError` when a state was taken of another revision that happens to have this number."""
    if found != digest_of_order(documents, ordering):
        raise LoaderError(
            f"The state is of another dataset: its revision {documents.number} has the digest {found}, and here "
            f"revision {documents.number} has {digest_of_order(documents, ordering)}. Open the selection that the "
            "state was taken of."
        )
