"""The documents that entered and left last, with the beginning of their texts."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

from tsds_stream.monitoring.selection_watch.causes import Cause
from tsds_stream.records import Json

SHOWN: Final = 10
SNIPPET: Final = 200  # characters
_TEXTS: Final = 2000  # of the members that were sent last, so that those that leave can be shown with theirs


class Recent:
    """Newest first. Of more than ten that entered with one revision, those with the highest probability are shown.

    Attributes:
        entered, left: as in the status document.
    """

    def __init__(self) -> None:
        self.entered: deque[Json] = deque(maxlen=SHOWN)
        self.left: deque[Json] = deque(maxlen=SHOWN)
        self._texts: dict[str, str] = {}  # in the order in which they were sent

    def take(
        self,
        when: Json,
        entered: Sequence[Json],
        upserts: Sequence[Json],
        entering: Mapping[str, Cause],
        leaving: Mapping[str, Cause],
    ) -> None:
        """The documents of one revision; `when`: its time and number."""
        for name in sorted(leaving)[-SHOWN:]:
            self.left.appendleft({"id": name, **when, "cause": leaving[name], "text": self._texts.get(name)})
        for name in leaving:
            self._texts.pop(name, None)
        for record in upserts[-_TEXTS:]:
            if record["text"] is not None:
                self._texts.pop(record["id"], None)
                self._texts[record["id"]] = record["text"][:SNIPPET]
        while len(self._texts) > _TEXTS:
            del self._texts[next(iter(self._texts))]
        for record in sorted(entered, key=lambda record: (record["probability"], record["id"]))[-SHOWN:]:
            text, near = record["text"], record["nearest"]
            self.entered.appendleft(
                {
                    "id": record["id"],
                    **when,
                    "cause": entering[record["id"]],
                    "probability": record["probability"],
                    "text": None if text is None else text[:SNIPPET],
                    "nearest": list(near[0]) if near else None,
                }
            )
