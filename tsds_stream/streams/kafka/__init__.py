"""Documents from Kafka, revisions to Kafka: exactly once, in transactions.

For people who read the selection: `SelectionView` gives it revision by revision, `SelectionMirror` keeps a directory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tsds_stream.streams.kafka.mirror import SelectionMirror as SelectionMirror
    from tsds_stream.streams.kafka.view import SelectionView as SelectionView

__all__ = ["SelectionMirror", "SelectionView"]


def __getattr__(name: str) -> object:
    """The public names need the extra "kafka", which importing a neighbouring module does not."""
    if name == "SelectionView":
        from tsds_stream.streams.kafka.view import SelectionView

        return SelectionView
    if name == "SelectionMirror":
        from tsds_stream.streams.kafka.mirror import SelectionMirror

        return SelectionMirror
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
