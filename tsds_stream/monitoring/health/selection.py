"""Whether what is published is right, and what was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tsds_stream.monitoring import thresholds
from tsds_stream.monitoring.health.verdict import Warning
from tsds_stream.monitoring.wording import age, listed, plural

if TYPE_CHECKING:
    from tsds_stream.records import Json

# Told in other words, of a choice that somebody made (recall is watched instead), or over by itself after a while.
_TOLD_ELSEWHERE = {"truncated", "approximate_density", "provisional"}
_REASONS = {
    "short": "lists of targets have lost documents that would be needed",
    "saturated": "the index found more neighbours than it may return",
    "capacity": "documents had to leave for lack of room",
    "count": "the number of live documents cannot be known",
}
_REMEDIES = {
    "short": 'Raise slack, or set refill = "auto" or scope = "corpus".',
    "saturated": 'Raise kde_k, or set index = "exact".',
    "capacity": "Raise capacity or max_ids.",
    "count": 'Set scope = "corpus", or another regularizer than tv.',
}
_RESTART = "Options of a target set stand in its part of the configuration; restart after a change."
_SIGNALS = {
    "distance": "distance to the nearest target",
    "groups": "shares of the target groups",
    "length": "length of documents",
    "embedding": "distribution of embeddings",
    "mean": "mean embedding",
}


def revision_stale(status: Json, now: int) -> Iterator[Warning]:
    """What is published no longer follows what is read. The heartbeat also beats while nothing changes."""
    heartbeat = status["publishing"]["heartbeat"]
    if heartbeat and (now - heartbeat) / 1000 > thresholds.HEARTBEAT_STALE:
        sentence = f"Publication was last known to be in effect {age(heartbeat, now)}: what consumers see may be old."
        action = (
            "See whether the broker, or the disk of the selection, takes what is written; the log says what was tried. "
            "Restart the process when it does not go on by itself: nothing is published twice."
        )
        yield Warning("revision_stale", "critical", sentence, action)


def recall_low(name: str, one: Json) -> Iterator[Warning]:
    """The approximate index misses neighbours."""
    recall = (one["index"] or {}).get("recall")
    if recall is not None and recall < thresholds.RECALL_LOW:
        sentence = f"The index of {name} finds only {recall:.1%} of the neighbours that exact search finds."
        action = f'Set index = "exact" or raise exact_limit. {_RESTART}'
        yield Warning("recall_low", "warning", sentence, action, name)


def plan_truncated(name: str, one: Json) -> Iterator[Warning]:
    """Some targets' lists end before the plan does."""
    if one["truncated"]:
        cut = f"{one['truncated']:,} of {plural(one['targets_active'], 'target')}"
        sentence = f"The selection of {name} is not exact: the lists of candidates of {cut} end too early."
        yield Warning("plan_truncated", "warning", sentence, _advice(one, "truncated", "Raise max_k"), name)


def not_exact(name: str, one: Json) -> Iterator[Warning]:
    """Other reasons why a selection is not the exact one, as far as somebody can do something about them."""
    reasons = [reason for reason in one["reasons"] if reason not in _TOLD_ELSEWHERE]
    if one["revision"] and not one["exact"] and reasons:
        sentence = f"The selection of {name} is not exact: {listed([_REASONS.get(one, one) for one in reasons])}."
        remedies = [_REMEDIES[reason] for reason in reasons if reason in _REMEDIES]
        yield Warning("not_exact", "warning", sentence, " ".join([*remedies, _RESTART]), name)


def short_of_budget(name: str, one: Json) -> Iterator[Warning]:
    """Fewer documents than were asked for, long after there were enough to choose from."""
    budget = one["budget"] or 0
    young = "provisional" in one["reasons"] or one["documents_seen"] < 10 * budget
    if one["revision"] and one["short_of_budget"] and not young:
        asked = f" of {budget:,}" if budget else ""
        sentence = f"The selection of {name} holds {one['size']:,}{asked} documents: no others fit its targets."
        turns = one["mode"] == "turns"
        way = "Lower min_distance or raise max_k" if turns else "Raise spread or lower alpha"
        fallback = f"{way}, add examples, or lower the budget"
        yield Warning("short_of_budget", "warning", sentence, _advice(one, "short_of_budget", fallback), name)


def target_uncovered(name: str, one: Json) -> Iterator[Warning]:
    """A good part of what was asked for has no document, in a selection that is full."""
    watch = one["watch"]
    uncovered, active = (watch["uncovered"], one["targets_active"]) if watch else (0, 0)
    full = not one["short_of_budget"] or one["documents_seen"] >= 10 * (one["budget"] or 0)
    if active and full and uncovered / active > thresholds.UNCOVERED_SHARE:
        have = "has" if uncovered == 1 else "have"
        sentence = f"{uncovered:,} of {plural(active, 'target')} of {name} {have} no selected document nearby."
        action = (
            "The status page lists them with the nearest document. Is the stream without such documents, then say so "
            "to whoever feeds it; are the examples odd, withdraw them; is the budget small for so many, raise it."
        )
        yield Warning("target_uncovered", "warning", sentence, action, name)


def selection_drift(name: str, one: Json) -> Iterator[Warning]:
    """What is selected has changed more than it usually does."""
    drift = (one["watch"] or {}).get("selection_drift") or {}
    score = drift.get("score") if drift.get("ready", True) else None
    if score is not None and score >= thresholds.DRIFT_SCORE:
        sentence = f"The selection of {name} changes more than usual (score {score:.1f}, alarm at 1)."
        action = (
            "The status page shows which documents came and left, and why. Wanted, for a change of targets or of the "
            "stream: nothing to do. Otherwise compare revisions (tsds-stream inspect --diff) and hold back training."
        )
        yield Warning("selection_drift", "warning", sentence, action, name)


def stream_drift(status: Json, now: int) -> Iterator[Warning]:
    """What arrives is not what arrived when the baseline was taken."""
    loud: dict[str, float] = {}
    for signal in status["drift"].get("signals") or ():
        if signal["ready"] and signal["score"] is not None and signal["score"] >= thresholds.DRIFT_SCORE:
            what = _SIGNALS.get(signal["signal"], signal["signal"])
            loud[what] = max(loud.get(what, 0.0), signal["score"])
    if loud:
        worst = sorted(loud, key=lambda what: -loud[what])
        sentence = f"The stream is changing: {listed(worst)} (score up to {loud[worst[0]]:.1f}, alarm at 1)."
        action = (
            "The status page shows since when and which groups grew. Is the change wanted, begin a new baseline "
            "(remove monitoring/drift.npz of the state directory and restart); otherwise look at what the producers "
            "send, and whether the targets still say what is wanted."
        )
        yield Warning("stream_drift", "warning", sentence, action)


def _advice(one: Json, code: str, otherwise: str) -> str:
    """What the selector itself advises, and how it is done."""
    told = next((str(sentence) for found, sentence in one["advice"] if found == code), otherwise)
    advice = told.partition(": ")[2] or told  # what is the matter stands before it
    return f"{advice[:1].upper()}{advice[1:].rstrip('.')}. {_RESTART}"
