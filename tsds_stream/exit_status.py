"""How a command ended: the one list of exit codes, printed by `--help` and kept by every command."""

from __future__ import annotations

from enum import IntEnum


class ExitStatus(IntEnum):
    """Exit codes of `tsds-stream`. They are part of the interface: supervisors and scripts decide by them."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    INPUT = 3
    STATE = 4
    INTERRUPTED = 5
    FENCED = 6
    UNAVAILABLE = 7

    @property
    def meaning(self) -> str:
        """What the code says, in a few words."""
        return _MEANINGS[self]


_MEANINGS = {
    ExitStatus.OK: "done; also after a stop that was asked for (SIGTERM, or Ctrl-C once)",
    ExitStatus.UNEXPECTED: "an unexpected error, or the watchdog gave up: a defect, see --debug",
    ExitStatus.USAGE: "a command line or configuration that cannot work",
    ExitStatus.INPUT: "documents, targets or the embedder cannot be read or reached",
    ExitStatus.STATE: "state or selection directory is damaged, missing or belongs to something else",
    ExitStatus.INTERRUPTED: "interrupted before it was done: Ctrl-C, a second signal, or a reader that went away",
    ExitStatus.FENCED: "another instance has taken over: do not restart this one before that one is stopped",
    ExitStatus.UNAVAILABLE: "a broker or embedder does not answer, or a transaction failed: start again",
}


class CommandError(Exception):
    """A sentence for the person at the terminal, and the status to leave with."""

    def __init__(self, sentence: str, status: ExitStatus) -> None:
        super().__init__(sentence)
        self.status = status
