"""What a judgement consists of."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from tsds_stream.records import Json

State = Literal["healthy", "degraded", "down"]
Severity = Literal["warning", "critical"]


@dataclass(frozen=True, slots=True)
class Warning:
    """Something that somebody should look at.

    Attributes:
        code: what it is, never varies: the name of the alert in snake case.
        sentence: what is the matter, with numbers.
        action: what to do.
        set: the target set that it is about, if about one.
    """

    code: str
    severity: Severity
    sentence: str
    action: str
    set: str | None = None

    @property
    def runbook(self) -> str:
        """The section of the runbook, which is also the name of the alert: `FallingBehind`."""
        return "".join(word.capitalize() for word in self.code.split("_"))


@dataclass(frozen=True, slots=True)
class Health:
    """How a run is.

    Attributes:
        sentence: the answer in one sentence; begins with the state.
        warnings: those to look at first stand first.
    """

    state: State
    sentence: str
    warnings: tuple[Warning, ...] = ()

    def as_json(self) -> Json:
        """For scripts and for the page."""
        return {
            "state": self.state,
            "sentence": self.sentence,
            "warnings": [{**asdict(one), "runbook": one.runbook} for one in self.warnings],
        }


def down(why: Warning) -> Health:
    """Nothing gets on, and this is why."""
    return Health("down", f"Down: {lowered(why.sentence)} {why.action}", (why,))


def lowered(sentence: str) -> str:
    """The sentence as it stands behind a colon."""
    return sentence[:1].lower() + sentence[1:]
