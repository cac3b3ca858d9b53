"""Why a document is selected or not, answered from the newest checkpoint and not from the running selector."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tsds_stream.records import Json
    from tsds_stream.selection.selector import Selector
    from tsds_stream.stored_state import StoredState

_KEPT: Final = 60.0  # seconds that a selector stays in memory after it was asked
_SHOWN: Final = 20_000  # characters of the text


class CannotExplainError(Exception):
    """There is no explanation; the message is a sentence."""


class UnknownError(CannotExplainError):
    """No such target set, or no such document in it."""


class NotNowError(CannotExplainError):
    """Ask again in a while."""


@dataclass(frozen=True, slots=True)
class Explained:
    """An explanation.

    Attributes:
        content: plain data, as `tsds-stream explain --json` prints it.
        sentences: the same in words.
        text: of the document, where it is stored.
        checkpoint, written: the state that it is about: its number, and when it was written (milliseconds).
    """

    set: str
    content: Json
    sentences: list[str]
    text: str | None
    checkpoint: int
    written: int


@dataclass(frozen=True, slots=True)
class _Loaded:
    set: str
    number: int
    written: int
    state: StoredState
    selector: Selector


class Explainer:
    """Answers one question at a time, with a selector that is loaded when it is needed.

    Args:
        root: the state directory of the run.
        kept: seconds that the selector stays in memory after the last question.
    """

    def __init__(self, root: Path, kept: float = _KEPT) -> None:
        self._root = root
        self._kept = kept
        self._lock = threading.Lock()
        self._loaded: _Loaded | None = None
        self._timer: threading.Timer | None = None

    @property
    def loaded(self) -> bool:
        """Whether a selector is in memory."""
        return self._loaded is not None

    def explain(self, name: str | None, document: str) -> Explained:
        """Explain a document of a target set, which need not be named where there is one only.

        Raises:
            UnknownError: the set or the document is not there.
            NotNowError: another question is being answered, or there is no checkpoint yet.
            CannotExplainError: the set has to be named.
        """
        with self._alone():
            one = self._of(name)
            explanation = one.selector.explain(document)
            if explanation.state == "unknown":
                raise UnknownError(
                    f"Document {document!r} is not held by target set {one.set} as of checkpoint {one.number}: it has "
                    "not been seen by then, was retracted, has expired, or lies farther from every target than their "
                    "shortlists reach."
                )
            return Explained(
                one.set, explanation.as_dict(), explanation.sentences(), _text(one, document), one.number, one.written
            )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._lock.acquire(blocking=False):
            raise NotNowError("Another explanation is being worked out: ask again in a moment.")
        try:
            if self._timer is not None:
                self._timer.cancel()
            yield
        finally:
            self._timer = threading.Timer(self._kept, self._forget)
            self._timer.daemon = True
            self._timer.start()
            self._lock.release()

    def _forget(self) -> None:
        if self._lock.acquire(blocking=False):  # if not, somebody asks, and a new timer follows
            self._loaded = None
            self._lock.release()

    def _of(self, name: str | None) -> _Loaded:
        from tsds_stream.exit_status import CommandError

        for _ in range(2):
            try:
                return self._load(name)
            except (OSError, CommandError) as error:  # a checkpoint is removed when two newer ones are there
                reason = error
        raise NotNowError(f"The newest checkpoint cannot be read: {reason}")

    def _load(self, name: str | None) -> _Loaded:
        from tsds_stream.checkpoint import CONTENTS, CheckpointStore
        from tsds_stream.stored_state import StoredState, checkpoints_in

        before = self._loaded
        found = CheckpointStore(checkpoints_in(self._root)).newest(sound=None if before is None else before.number)
        if found.checkpoint is None:
            why = " ".join(found.problems) or "The first one is written after a while, or at the end of a run."
            raise NotNowError(f"Explanations are drawn from checkpoints, and there is none that can be used yet. {why}")
        state = StoredState(self._root, found.checkpoint.directory, found.checkpoint.meta, found.problems)
        name = _chosen(state, name)
        if before is not None and (before.number, before.set) == (found.checkpoint.number, name):
            return before
        self._loaded = before = None  # not two at the same time
        written = int((state.directory / CONTENTS).stat().st_mtime * 1000)
        self._loaded = _Loaded(name, found.checkpoint.number, written, state, state.selector(name))
        return self._loaded


def _chosen(state: StoredState, name: str | None) -> str:
    have = ", ".join(state.names)
    if name is None:
        if len(state.names) != 1:
            raise CannotExplainError(f"Say which target set: /explain?set=NAME&id=ID. There are {have}.")
        return state.names[0]
    if name not in state.names:
        raise UnknownError(f"There is no target set {name!r} in the newest checkpoint; there are {have}.")
    return name


def _text(one: _Loaded, document: str) -> str | None:
    from tsds_stream.selection.arithmetic import keys_of

    text = one.state.texts([document], keys_of(one.selector.vectors([document])))[0]
    if text is None or len(text) <= _SHOWN:
        return text
    return text[:_SHOWN] + "…"
