"""How much a selection changed, which documents came and left last, and why."""

from __future__ import annotations

from urllib.parse import urlencode

from tsds_stream.monitoring.page import formatting
from tsds_stream.monitoring.page.markup import Html, join, tag
from tsds_stream.monitoring.page.pieces import folded, nothing, part, sentence, table
from tsds_stream.monitoring.page.place import Place
from tsds_stream.monitoring.page.values import count, origin, shown, when, words

_SINCE = (("", "The revision before"), ("_hour", "An hour ago"), ("_day", "A day ago"))
_ENTERED = {
    "arrivals": "new, or moved up by new documents",
    "retractions": "in place of a retracted document",
    "expiry": "in place of an expired document",
    "targets": "the targets have changed",
    "configuration": "the configuration has changed",
}
_LEFT = {**_ENTERED, "arrivals": "displaced by new documents", "retractions": "retracted", "expiry": "expired"}
_CAUSES = {
    "arrivals": "New documents",
    "retractions": "Retractions",
    "expiry": "Expiry",
    "targets": "Changed targets",
    "configuration": "Changed configuration",
}
_UNFOLDED = 5


def movement(here: str, watch: Place) -> Html:
    """The selection against itself: a revision, an hour, a day before."""
    rows = [
        (name, shown(watch[f"tv{since}"], formatting.share), shown(watch[f"turnover{since}"], formatting.share))
        for since, name in _SINCE
    ]
    headings = ("Against", "Probability moved", "Documents exchanged")
    title = "How much it changed"
    note = "Total variation of the probabilities, and the share of documents not in both (1 − Jaccard)."
    return part(title, table(title, headings, rows, identity=f"{here}-movement"), note=note)


def churn(here: str, watch: Place) -> Html:
    """All that came and left since the start, by cause."""
    rows = [
        (_CAUSES.get(cause, cause), count(each["added"]), count(each["removed"]))
        for cause, each in watch["churn"].items()
    ]
    if not rows:
        return nothing("Nothing has come or left yet.")
    return table("Documents that came and left, by cause", ("Cause", "In", "Out"), rows, identity=f"{here}-causes")


def came_and_left(here: str, name: str, watch: Place, now: int, *, allow_text: bool, why_no_text: str) -> Html:
    """The documents that entered and left last."""
    hidden = None if allow_text or not why_no_text else tag("p", why_no_text, class_="note")
    lists = [
        part(title, _documents(f"{here}-{which}", name, watch[which], causes, now, allow_text=allow_text))
        for which, title, causes in (("entered", "Entered last", _ENTERED), ("left", "Left last", _LEFT))
    ]
    return join(tag("div", *lists, class_="columns"), hidden, _question(here, name) if allow_text else None)


def _documents(here: str, name: str, listed: Place, causes: dict[str, str], now: int, *, allow_text: bool) -> Html:
    found = [_document(name, each, causes, now, allow_text=allow_text) for each in listed]
    if not found:
        return nothing("None yet.")
    first, others = found[:_UNFOLDED], found[_UNFOLDED:]
    more = folded(here, f"{len(others)} more", tag("ol", *others, class_="documents")) if others else None
    return join(tag("ol", *first, class_="documents"), more)


def _document(name: str, each: Place, causes: dict[str, str], now: int, *, allow_text: bool) -> Html:
    identity, text = each["id"], each["text"]
    title = words(identity, class_="id")
    if allow_text and identity.words():
        title = tag("a", title, href="/explain?" + urlencode({"set": name, "id": identity.words()}, errors="replace"))
    cause = each["cause"].words()
    because = tag("span", causes.get(cause, cause), **origin(each["cause"])) if cause else None
    in_revision = tag("span", "revision ", count(each["revision"]), class_="whole")
    probability = (
        tag("span", "probability ", shown(each["probability"]), class_="whole") if each["probability"].known else None
    )
    nearest = each["nearest"]
    near = join("nearest target ", words(nearest[0]), " at ", shown(nearest[1])) if nearest else None
    lines = [
        tag("p", title, " ", when(each["time"], now)),
        tag("p", words(text), class_="text") if allow_text and text.words() else None,
        tag("p", sentence(because, in_revision, probability, near), class_="note"),
    ]
    return tag("li", *lines)


def _question(here: str, name: str) -> Html:
    field = f"{here}-question"
    return tag(
        "form",
        tag("label", "Why is a document selected, or not?", for_=field),
        tag("input", type="hidden", name="set", value=name),
        tag(
            "input",
            type="search",
            name="id",
            id=field,
            placeholder="id of a document",
            required=True,
            autocomplete="off",
        ),
        tag("button", "Explain"),
        action="/explain",
        method="get",
        class_="question",
    )
