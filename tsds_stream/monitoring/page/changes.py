"""How much a selection changed, which documents came and left last, and why."""

from __future__ import annotations

from urllib.parse import urlencode

from tsds_stream.monitoring.page import formatting
from tsds_stream.monitoring.page.markup import Html, join, tag
from tsds_stream.monitoring.page.pieces import nothing, part, sentence, table
from tsds_stream.monitoring.page.place import Place
from tsds_stream.monitoring.page.values import count, shown, when, words

_SINCE = (("", "The revision before"), ("_hour", "An hour ago"), ("_day", "A day ago"))
_CAUSES = {
    "arrivals": "documents that arrived",
    "retractions": "documents that were retracted",
    "expiry": "documents that expired",
    "targets": "targets that changed",
    "configuration": "a change of budget or configuration",
}


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
        (_CAUSES.get(cause, cause).capitalize(), count(each["added"]), count(each["removed"]))
        for cause, each in watch["churn"].items()
    ]
    if not rows:
        return nothing("Nothing has come or left yet.")
    return table("Documents that came and left, by cause", ("Because of", "In", "Out"), rows, identity=f"{here}-causes")


def came_and_left(here: str, name: str, watch: Place, now: int, *, allow_text: bool, why_no_text: str) -> Html:
    """The documents that entered and left last."""
    entered = _documents(name, watch["entered"], now, allow_text)
    left = _documents(name, watch["left"], now, allow_text)
    hidden = None if allow_text or not why_no_text else tag("p", why_no_text, class_="note")
    lists = tag(
        "div",
        part("Entered last", entered if entered is not None else nothing("None yet.")),
        part("Left last", left if left is not None else nothing("None yet.")),
        class_="columns",
    )
    return join(hidden, lists, _question(here, name) if allow_text else None)


def _documents(name: str, listed: Place, now: int, allow_text: bool) -> Html | None:
    found = [_document(name, each, now, allow_text) for each in listed]
    return tag("ol", *found, class_="documents") if found else None


def _document(name: str, each: Place, now: int, allow_text: bool) -> Html:
    identity, text = each["id"], each["text"]
    title = words(identity, class_="id")
    if allow_text and identity.words():
        title = tag("a", title, href="/explain?" + urlencode({"set": name, "id": identity.words()}, errors="replace"))
    cause = each["cause"].words()
    because = (
        join("because of ", tag("span", _CAUSES.get(cause, cause), data_value=each["cause"].path)) if cause else None
    )
    in_revision = join("revision ", count(each["revision"]))
    probability = join("probability ", shown(each["probability"])) if each["probability"].known else None
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
