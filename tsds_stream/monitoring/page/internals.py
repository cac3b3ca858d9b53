"""What is rarely asked for, folded away: events, stages, publishing, checkpoints, embedder, process."""

from __future__ import annotations

from tsds_stream.monitoring.page import formatting
from tsds_stream.monitoring.page.markup import Html, join, tag
from tsds_stream.monitoring.page.pieces import facts, folded, nothing, section, table
from tsds_stream.monitoring.page.place import Place
from tsds_stream.monitoring.page.values import count, shown, when, words

_UNFOLDED = 8


def lately(status: Place, now: int) -> Html:
    """The last events, newest first."""
    found = []
    several = len(list(status["sets"].items())) > 1
    for event in status["events"]:
        name = event["set"]
        of = join(words(name), ": ") if several and name.words() else None
        found.append(tag("li", when(event["time"], now), tag("span", of, words(event["text"]))))
    if not found:
        return section("events", "What happened lately", nothing("Nothing has happened since the start."))
    first, others = found[:_UNFOLDED], found[_UNFOLDED:]
    more = folded("events-more", f"{len(others)} more", tag("ol", *others, class_="events")) if others else None
    return section("events", "What happened lately", tag("ol", *first, class_="events"), more)


def internals(status: Place, now: int) -> Html:
    """The section for whoever has to look closer."""
    return section(
        "internals",
        "Inside",
        folded("inside-stages", "Stages", _stages(status["stages"])),
        folded("inside-flow", "Documents, dead letters, partitions", _flow(status["flow"])),
        folded("inside-publishing", "Publishing and checkpoints", _publishing(status, now)),
        folded("inside-process", "Process, embedder and configuration", _process(status, now)),
    )


def _stages(stages: Place) -> Html:
    rows = []
    for name, each in stages.items():
        total, number = formatting.number(each["sum"].value), formatting.number(each["count"].value)
        mean = total / number if total is not None and number else None
        calculated = tag("span", formatting.seconds(mean), data_calculated="mean")
        rows.append((name.capitalize(), count(each["count"]), calculated, shown(each["sum"], formatting.seconds)))
    headings = ("Stage", "Times", "Mean", "In all")
    return table("How long each stage takes", headings, rows, identity="stages-table")


def _flow(flow: Place) -> Html:
    names = (
        ("Applied", "documents_applied"),
        ("Embedded", "embedded"),
        ("Retractions", "retractions"),
        ("Retractions of unknown documents", "unknown_retractions"),
        ("Duplicates", "duplicates"),
        ("Read again at the start", "replayed"),
        ("Read again for new targets", "backfilled"),
        ("Texts not found again", "missing_payloads"),
    )
    rows: list[tuple[object, object]] = [(name, count(flow[key])) for name, key in names]
    rows.append(("Bytes read", shown(flow["bytes_read"], formatting.size)))
    rows += [(join("Dead letters: ", tag("bdi", reason)), count(each)) for reason, each in flow["dead_letters"].items()]
    rows += [(join("Lag of ", tag("bdi", name)), count(each)) for name, each in flow["partition_lag"].items()]
    return facts(rows)


def _publishing(status: Place, now: int) -> Html:
    publishing, checkpoints = status["publishing"], status["checkpoints"]
    rows: list[tuple[object, object]] = [
        ("In effect, last checked", when(publishing["heartbeat"], now)),
        ("Last commit", when(publishing["last_commit"], now)),
        ("Commits", join(count(publishing["commits"]), ", ", count(publishing["failed"]), " failed")),
        ("Duration of the last commit", shown(publishing["seconds"], formatting.seconds)),
        ("Records written", count(publishing["records"])),
        ("Records too large to write", count(publishing["oversized"])),
        ("Last checkpoint", when(checkpoints["last"], now)),
        ("Checkpoints", join(count(checkpoints["count"]), ", ", count(checkpoints["failures"]), " failed")),
        ("Duration of the last checkpoint", shown(checkpoints["seconds"], formatting.seconds)),
        ("Size of the last checkpoint", shown(checkpoints["bytes"], formatting.size)),
    ]
    if checkpoints["error"].words():
        rows.append(("Error of the last checkpoint", words(checkpoints["error"])))
    return facts(rows)


def _process(status: Place, now: int) -> Html:
    process, embedder, configuration = status["process"], status["embedder"], status["configuration"]
    out = join("out since ", when(embedder["since"], now)) if embedder["out"].value else "answers"
    rows: list[tuple[object, object]] = [
        ("Version", words(status["version"])),
        ("Process", count(process["pid"])),
        ("Last turn of the main loop", when(process["ticked"], now)),
        ("Memory", shown(process["resident_bytes"], formatting.size)),
        ("Memory that it may use", shown(process["memory_limit_bytes"], formatting.size)),
        ("Processor time", shown(process["cpu_seconds"], formatting.seconds)),
        ("Embedder", join(words(configuration["embedder"]), ", ", out)),
        ("Outages of the embedder", count(embedder["outages"])),
    ]
    if embedder["error"].words():
        rows.append(("Last error of the embedder", words(embedder["error"])))
    if process["exit"].words():
        rows.append(("Why it ended", words(process["exit"])))
    rows += [
        ("Source", words(configuration["source"])),
        ("Sink", words(configuration["sink"])),
        ("State", words(configuration["state"])),
        ("Digest of the configuration", words(configuration["digest"], class_="id")),
        ("Publishes every", shown(configuration["publish_interval"], formatting.seconds)),
        ("Writes a checkpoint every", shown(configuration["checkpoint_interval"], formatting.seconds)),
    ]
    return facts(rows)
