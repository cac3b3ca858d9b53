"""Agreement among the ranks of a run through torch.distributed, over a group of its own that gives up in time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import torch.distributed as dist

from tsds_stream.loader.following import Alone, Coordination
from tsds_stream.loader.reading import LoaderError
from tsds_stream.records import Json


class TorchDistributed:
    """Every process of the default group has to make one, and to call its methods in the same order.

    Args:
        timeout: seconds that a process waits for the others.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        try:
            self._group = dist.new_group(backend="gloo", timeout=timedelta(seconds=timeout))
        except RuntimeError as error:
            raise self._apart("make a group for it", error) from error

    def decide(self, step: int, answer: Callable[[], int]) -> int:
        refused: Exception | None = None
        message: list[Any] = [None]
        if dist.get_rank() == 0:
            try:
                message = [(step, answer(), "")]
            except Exception as error:  # noqa: BLE001 - the others have to hear of it before it goes on its way
                refused, message = error, [(step, 0, str(error) or type(error).__name__)]
        try:
            dist.broadcast_object_list(message, src=0, group=self._group)
        except RuntimeError as error:
            raise self._apart(f"hear which revision is served from step {step} on", error) from error
        if refused is not None:
            raise refused
        then, number, trouble = message[0]
        if trouble:
            raise LoaderError(f"Rank 0 says: {trouble}")
        if then != step:
            raise LoaderError(
                f"Rank 0 is at step {then} and rank {dist.get_rank()} at step {step}: give every rank the same number "
                "of batches, and the state of the same checkpoint."
            )
        return int(number)

    def gather(self, facts: Json) -> list[Json]:
        everybody: list[Any] = [None] * dist.get_world_size()
        try:
            dist.all_gather_object(everybody, facts, group=self._group)
        except RuntimeError as error:
            raise self._apart("compare the settings of all ranks", error) from error
        return everybody

    def _apart(self, aim: str, error: RuntimeError) -> LoaderError:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return LoaderError(
            f"Rank {dist.get_rank()} could not {aim}: another rank has died, or did not come to this point within "
            f"{self._timeout:g} s ({reason}). Look at the other ranks' errors, then resume all of them."
        )


def initialised() -> bool:
    """Whether this process is one of a torch.distributed group."""
    return bool(dist.is_available() and dist.is_initialized())


def default_coordination(world_size: int, timeout: float) -> Coordination:
    """How ranks agree, by default."""
    together = world_size > 1 and initialised() and dist.get_world_size() > 1
    return TorchDistributed(timeout) if together else Alone()


def rank_and_world_size() -> tuple[int, int] | None:
    """As torch.distributed has it, if it is initialised."""
    return (dist.get_rank(), dist.get_world_size()) if initialised() else None
