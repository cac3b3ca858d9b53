"""One target set: what is selected, whether it is what was asked for, what came and left, and why."""

from __future__ import annotations

from tsds_stream.monitoring.page import formatting
from tsds_stream.monitoring.page.changes import came_and_left, churn, movement
from tsds_stream.monitoring.page.charts import history, lines
from tsds_stream.monitoring.page.fit import groups, uncovered
from tsds_stream.monitoring.page.markup import Html, join, tag
from tsds_stream.monitoring.page.pieces import figure, folded, section, sentence, tile, tiles
from tsds_stream.monitoring.page.place import Place
from tsds_stream.monitoring.page.plan import plan_and_index
from tsds_stream.monitoring.page.values import count, counted, origin, shown, when, words
from tsds_stream.summary import REASONS

_CHARTS = (
    ("transport_cost", "Transport cost", "how far the selection is from the targets: lower fits better", False),
    ("tv", "Probability moved", "from each revision to the next, as total variation", True),
    ("turnover", "Documents exchanged", "from each revision to the next: 1 is all of them", True),
)


def anchor(name: str) -> str:
    """The name of a set's section in addresses."""
    return "set-" + "".join(one if one.isascii() and one.isalnum() else f"-{ord(one):x}-" for one in name)


def target_set(name: str, one: Place, status: Place, now: int, *, allow_text: bool, why_no_text: str) -> Html:
    """The section of one target set."""
    here = anchor(name)
    title = join("Selection ", tag("bdi", name, class_="set-name"))
    watch = one["watch"]
    first = tiles(
        _revision(one, now), _size(one), _exactness(one), _fit(one), _targets(one), _drift(watch["selection_drift"])
    )
    if not watch.known:
        waiting = "Shares, changes and coverage are shown from the first revision on."
        return section(here, title, first, tag("p", waiting, class_="nothing"), plan_and_index(here, one, now))
    return section(
        here,
        title,
        first,
        tag("div", groups(here, watch), movement(here, watch), class_="columns"),
        tag("div", *_over_time(here, name, status, one, now), class_="charts"),
        uncovered(here, watch),
        came_and_left(here, name, watch, now, allow_text=allow_text, why_no_text=why_no_text),
        folded(f"{here}-churn", "Why documents came and left, since the start", churn(here, watch)),
        plan_and_index(here, one, now),
    )


def _revision(one: Place, now: int) -> Html:
    if not one["revision"].value:
        return tile("Revision", formatting.UNKNOWN, "none is published yet")
    exchanged = join(count(one["last_added"]), " in, ", count(one["last_removed"]), " out")
    return tile("Revision", count(one["revision"]), when(one["created"], now), exchanged)


def _size(one: Place) -> Html:
    budget, tokens = one["budget"], one["token_budget"]
    asked = None
    if budget.known:
        asked = join("of ", counted(budget, "document"), " asked for")
    elif tokens.known:
        asked = join("for a budget of ", counted(tokens, "token"))
    short = "fewer than asked for" if one["short_of_budget"].value and one["revision"].value else None
    since = join(count(one["added"]), " in, ", count(one["removed"]), " out since the start")
    return tile("Documents selected", count(one["size"]), asked, short, since)


def _exactness(one: Place) -> Html:
    if not one["revision"].value:
        return tile("Exact?", formatting.UNKNOWN, "known with the first revision")
    if one["exact"].value:
        return tile(
            "Exact?",
            tag("span", "Exact", **origin(one["exact"])),
            "the same that one batch over all documents gives",
        )
    reasons = [reason for reason in one["reasons"] if reason.words()]
    why = [sentence(words(reason), REASONS.get(reason.words()), separator=": ") for reason in reasons]
    advice = [join("Advice: ", words(each[1])) for each in one["advice"]]
    return tile("Exact?", "Not exact", *why, *advice, kind="notable")


def _fit(one: Place) -> Html:
    watch = one["watch"]
    cost = one["transport_cost"]
    if not cost.known:
        return tile("Transport cost", formatting.UNKNOWN, "how far the selection is from the targets")
    trend = join(shown(watch["cost_trend"], formatting.change), " per hour") if watch["cost_trend"].known else None
    return tile(
        "Transport cost", shown(cost), trend, "mean distance of the selection from the targets; lower fits better"
    )


def _targets(one: Place) -> Html:
    watch, pending = one["watch"], one["targets_pending"]
    waiting = join(count(pending), " wait for documents to be read again") if pending else None
    bare = join(count(watch["uncovered"]), " with no good document") if watch.known else None
    return tile("Targets", count(one["targets_active"]), bare, waiting)


def _drift(drift: Place) -> Html | None:
    if not drift["score"].known:
        return tile("Change of the selection", formatting.UNKNOWN, "a score, once its usual changes are known")
    alarm = (formatting.number(drift["score"].value) or 0) >= 1
    note = "changes more than usual" if alarm else "changes no more than usual"
    value = join(shown(drift["score"]), tag("small", " alarm at 1"))
    return tile("Change of the selection", value, note, kind="alarming" if alarm else None)


def _over_time(here: str, name: str, status: Place, one: Place, now: int) -> list[Html]:
    found = []
    for column, title, caption, from_zero in _CHARTS:
        series = history(status["history"].value, f"set/{name}/{column}")
        plot = lines(f"{here}-{column}", title, [series], now, from_zero=from_zero)
        found.append(figure(title, plot, caption, empty="Drawn once there are two measurements."))
    return found
