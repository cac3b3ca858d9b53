"""What each topic is for, and how it is made where it is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from tsds_stream.config import Settings

Use = Literal["documents", "targets", "selection", "revisions", "dead_letters"]
ROOM: Final = 64 * 1024  # bytes that a record may have beside its document
_DEFAULT_BYTES: Final = 1_048_588  # max.message.bytes where nobody says otherwise
_LETTERS_KEPT: Final = 30 * 86_400_000  # milliseconds
_READ: Final = ("READ", "DESCRIBE")
_BOTH: Final = ("READ", "WRITE", "DESCRIBE")
_OPERATIONS: Final[dict[Use, tuple[str, ...]]] = {
    "documents": _READ, "targets": _READ, "selection": _BOTH, "revisions": _BOTH, "dead_letters": ("WRITE", "DESCRIBE"),
}  # fmt: skip
_COMPACTED: Final = {"cleanup.policy": "compact"}
_KEPT_FOR_EVER: Final = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
_FEW: Final = ("targets", "revisions", "dead_letters")  # that one partition is enough for


@dataclass(frozen=True, slots=True)
class Planned:
    """A topic that the settings use.

    Attributes:
        operations: that we must be allowed.
        settings: that it is made with.
        bytes_needed: of its largest record; None: any limit will do.
        one_partition: few records, so that one partition holds them in order.
    """

    use: Use
    name: str
    operations: tuple[str, ...]
    settings: dict[str, str]
    bytes_needed: int | None
    one_partition: bool


def planned(settings: Settings) -> list[Planned]:
    """The topics that these settings use."""
    uses: list[Use] = []
    if settings.source.kind == "kafka":
        uses.append("documents")
    if any(one.targets is None for one in settings.target_sets):
        uses.append("targets")
    if settings.sink.kind == "kafka":
        uses += ["selection", "revisions", "dead_letters"]
    names = settings.kafka.topics.given()
    return [_planned(use, names[use], settings) for use in uses]


def _planned(use: Use, name: str, settings: Settings) -> Planned:
    largest = settings.source.max_document_bytes + ROOM
    written = use in ("selection", "dead_letters") and settings.source.kind == "kafka"
    return Planned(use, name, _OPERATIONS[use], _settings(use, largest), largest if written else None, use in _FEW)


def _settings(use: Use, largest: int) -> dict[str, str]:
    limit = {"max.message.bytes": str(max(largest, _DEFAULT_BYTES))}
    if use in ("targets", "selection"):
        return _COMPACTED | limit
    if use == "revisions":
        return dict(_KEPT_FOR_EVER)
    if use == "documents":
        return _KEPT_FOR_EVER | limit
    return {"cleanup.policy": "delete", "retention.ms": str(_LETTERS_KEPT)} | limit
