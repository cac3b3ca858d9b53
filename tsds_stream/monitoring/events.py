"""What has happened lately, in sentences: told by comparing each status document with the one before."""

from __future__ import annotations

from collections import deque

from tsds_stream.records import Json

_MOST = 20


class Events:
    """The last events, newest first."""

    def __init__(self) -> None:
        self._events: deque[Json] = deque(maxlen=_MOST)
        self._before: Json | None = None

    def note(self, now: int, kind: str, name: str, text: str) -> None:
        """Something happened to a target set (or to none: "")."""
        self._events.appendleft({"time": now, "kind": kind, "set": name, "text": text})

    def compare(self, status: Json) -> None:
        """Find what is new in a status document."""
        before, self._before = self._before, status
        if before is None:
            return
        now = int(status["created"])
        self._compare_embedder(now, before["embedder"], status["embedder"])
        for name, one in status["sets"].items():
            if name in before["sets"]:  # sets are known only once the state is restored
                self._compare_set(now, name, before["sets"][name], one)
        alarms = [{_which(signal) for signal in document["drift"].get("signals", []) if _raised(signal)}
                  for document in (before, status)]  # fmt: skip
        for name, text in sorted(alarms[1] - alarms[0]):
            self.note(now, "drift", name, f"drift of the stream: {text} has crossed the alarm line")
        for name, text in sorted(alarms[0] - alarms[1]):
            self.note(now, "drift", name, f"{text} is below the alarm line again")

    def document(self) -> list[Json]:
        """Newest first."""
        return list(self._events)

    def _compare_embedder(self, now: int, before: Json, after: Json) -> None:
        if after["out"] and not before["out"]:
            self.note(now, "outage", "", f"the embedder does not answer: {after['error']}")
        if before["out"] and not after["out"]:
            self.note(now, "outage", "", "the embedder answers again")

    def _compare_set(self, now: int, name: str, before: Json, after: Json) -> None:
        if after["revision"] and not before["revision"]:
            self.note(now, "revision", name, f"first revision: {after['size']:,} documents")
        elif after["revision"] and (after["exact"], after["reasons"]) != (before["exact"], before["reasons"]):
            why = "exact" if after["exact"] else f"not exact: {', '.join(after['reasons'])}"
            self.note(now, "exactness", name, f"revision {after['revision']:,} is {why}")
        # After a restart the first computation tells what was frozen long ago.
        restored = before["revision"] and before["sigma"] is None
        if after["calibrated"] and not before["calibrated"] and after["sigma"] is not None and not restored:
            self.note(now, "calibration", name, f"sigma is frozen at {after['sigma']:.4g}")


def _raised(signal: Json) -> bool:
    return bool(signal["ready"]) and signal["score"] is not None and signal["score"] >= 1


def _which(signal: Json) -> tuple[str, str]:
    return signal["set"], f"{signal['signal']} ({signal['window']} window)"
