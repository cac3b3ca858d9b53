"""Whether the stream is changing: scores over time and now, against the alarm line at 1."""

from __future__ import annotations

from dataclasses import replace

from tsds_stream.monitoring import thresholds
from tsds_stream.monitoring.page import formatting
from tsds_stream.monitoring.page.charts import history, lines
from tsds_stream.monitoring.page.markup import Html, join, tag
from tsds_stream.monitoring.page.pieces import figure, folded, section, sentence, table
from tsds_stream.monitoring.page.place import Place
from tsds_stream.monitoring.page.values import count, counted, shown, when, words

_SIGNALS = {
    "distance": ("Distance to the nearest target", "nearer to what is asked for, or farther from it"),
    "groups": ("Shares of the target groups", "which group's targets the documents lie nearest to"),
    "length": ("Length of documents", "shorter or longer ones"),
    "embedding": ("Distribution of embeddings", "other content, in whatever language"),
    "mean": ("Mean embedding", "the stream as a whole moves to other content"),
}
_MEASURES = {
    "psi": "population stability index",
    "jensen_shannon": "Jensen–Shannon divergence",
    "wasserstein": "normalised Wasserstein distance",
    "mmd": "maximum mean discrepancy",
    "mean_distance": "distance of the means",
}
_WINDOWS = ("short", "long")
_EMPTY = "Drawn once there is evidence: two scores."


def stream_drift(status: Place, now: int) -> Html:
    """The section for whoever asks whether what arrives is still what arrived."""
    drift = status["drift"]
    state = drift["state"].words("off")
    title = "Is the stream changing?"
    if state == "off":
        return section(
            "drift", title, intro="Nobody looks: drift is switched off ([monitoring.drift] enabled = false)."
        )
    windows = status["configuration"]["monitoring"]
    explained = join(
        _standing(drift, now),
        " A score is the statistic over its threshold: 1 is the alarm line. The short window is the last ",
        counted(windows["short_window"], "document"),
        " looked at, the long one the last ",
        count(windows["long_window"]),
        ".",
    )
    several = len(list(status["sets"].items())) > 1
    pairs = list(dict.fromkeys((each["signal"].words(), each["set"].words()) for each in drift["signals"]))
    charts = [_chart(k, signal, name, status, now, several) for k, (signal, name) in enumerate(pairs)]
    drawn = tag("div", *charts, class_="charts") if state == "watching" else None
    return section("drift", title, drawn, _now(drift, several), _shares(drift), intro=explained)


def _standing(drift: Place, now: int) -> Html:
    looked, needed, baseline = drift["looked_at"], drift["needed"], drift["baseline"]
    if drift["state"].value != "watching":
        return join(
            "Not known yet: ", count(looked), " documents are looked at, ", count(needed), " more are needed first."
        )
    origin = (
        "a file" if baseline["source"].value == "file" else join("this stream, frozen ", when(baseline["ended"], now))
    )
    return join("Compared with a baseline of ", counted(baseline["documents"], "document"), " from ", origin, ".")


def _chart(k: int, signal: str, name: str, status: Place, now: int, several: bool) -> Html:
    title, reading = _SIGNALS.get(signal, (signal, ""))
    of = f"{signal}/{name}" if name else signal
    present = [
        each for each in status["drift"]["signals"] if (each["signal"].value, each["set"].value) == (signal, name)
    ]
    series = [history(status["history"].value, f"drift/{of}/{each['window'].words()}") for each in present]
    windows = [f"{each['window'].words()} window" for each in present]
    named = [replace(one, name=window) for one, window in zip(series, windows, strict=True)]
    plot = lines(f"drift-{k}", f"Drift score: {title}", named, now, alarm=thresholds.DRIFT_SCORE)
    caption = sentence(tag("bdi", name) if name and several else None, reading)
    legend = [join(window, " ", _score(each)) for window, each in zip(windows, present, strict=True)]
    return figure(title, plot, caption, legend=legend, empty=_EMPTY)


def _score(each: Place) -> Html:
    if not each["ready"].value or not each["score"].known:
        return tag("span", "not enough documents", class_="nothing")
    alarm = (formatting.number(each["score"].value) or 0) >= thresholds.DRIFT_SCORE
    value = shown(each["score"])
    return join(tag("strong", value, class_="alarmed"), " alarm") if alarm else value


def _now(drift: Place, several: bool) -> Html:
    rows = []
    for each in drift["signals"]:
        signal, name, measure = each["signal"].words(), each["set"].words(), each["measure"].words()
        title = _SIGNALS.get(signal, (signal, ""))[0]
        rows.append(
            (
                sentence(title, tag("bdi", name) if name and several else None),
                join(each["window"].words(), ", ", count(each["documents"])),
                _score(each),
                shown(each["statistic"]),
                shown(each["threshold"]),
                _MEASURES.get(measure, measure),
            )
        )
    headings = ("Signal", "Window, documents", "Score", "Statistic", "Threshold", "Measure")
    rate = join(
        "Thresholds are set so that an unchanged stream raises an alarm with a rate of ",
        shown(drift["false_alarm_rate"], formatting.share),
        ".",
    )
    return folded(
        "drift-now",
        "All scores as a table",
        tag("p", rate, class_="note"),
        table("Scores of the stream now", headings, rows, identity="drift-table"),
    )


def _shares(drift: Place) -> Html | None:
    found = []
    for k, (name, each) in enumerate(drift["groups"].items()):
        rows = [
            (words(label), *(shown(each[kind][row], formatting.share) for kind in ("baseline", *_WINDOWS)))
            for row, label in enumerate(each["labels"])
        ]
        headings = ("Group", "Baseline", "Short window", "Long window")
        caption = join("Shares of the documents by the group of their nearest target, ", tag("bdi", name))
        found.append(table(caption, headings, rows, identity=f"drift-groups-{k}", quiet=False))
    return folded("drift-groups", "What the documents are nearest to, then and now", *found) if found else None
