"""`tsds-stream status`: how a run is, in the terminal."""

from __future__ import annotations

import argparse
import signal
import sys
from contextlib import nullcontext
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tsds_stream.exit_status import CommandError, ExitStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from tsds_stream.config import Settings
    from tsds_stream.monitoring.health import Health
    from tsds_stream.monitoring.status_source import Look
    from tsds_stream.records import Json
    from tsds_stream.terminal import Page

USAGE = "[--directory DIR | --url URL [--token-file FILE]] [--config FILE] [--json] [--watch]"
DESCRIPTION = (
    "Say whether a run is healthy, what is the matter if not, and what to do; then what it is doing. Looks into the "
    "state directory (of --directory, the configuration, or state/), or asks a running process by HTTP. Each name in "
    "front of a warning is that of an alert, and of a section of deploy/RUNBOOK.md."
)
EXAMPLES = """\
examples:
  tsds-stream status
  tsds-stream status --config tsds.toml --watch
  tsds-stream status --url http://127.0.0.1:9464
  tsds-stream status --json | jq '.sets.default.revision'
  tsds-stream status --directory state/ > /dev/null || mail -s "look at the stream" on-call
"""


class Answer(IntEnum):
    """The exit codes of this command are its answer."""

    HEALTHY = 0
    DEGRADED = 1
    DOWN = 2


ANSWERS: Final = {
    Answer.HEALTHY: "healthy; also a run that has just begun, and one that has finished",
    Answer.DEGRADED: "degraded: it goes on, and something needs to be looked at",
    Answer.DOWN: "down: it has failed, was killed, is stuck, or does not answer at --url",
    ExitStatus.INPUT: "no answer: a wrong option or token, no state directory, not a status document; stderr says why",
    ExitStatus.INTERRUPTED: "interrupted",
}
_STYLES = {"healthy": "bold green", "degraded": "bold yellow", "down": "bold red"}
_EVENTS = 3  # shown
_EVERY = 2.0  # seconds between two looks


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    from tsds_stream.config import SECTIONS
    from tsds_stream.configuration.command_line import add_options

    parser.add_argument("--url", metavar="URL", help="ask the process that listens there ([monitoring] listen)")
    parser.add_argument("--token-file", metavar="FILE", type=Path, help="file with the bearer token, for --url")
    parser.add_argument("--config", metavar="FILE", type=Path, help="the configuration of the run")
    add_options(parser, SECTIONS["state"], "state", names={"directory": "--directory"}, only=("directory",))
    parser.add_argument("--json", action="store_true", help='the status document, with "health" in it, for scripts')
    parser.add_argument("--watch", action="store_true", help="look every 2 seconds until Ctrl-C")


def run(arguments: argparse.Namespace) -> Answer:
    """Look, tell, and answer with the exit code."""
    look = _looking(arguments)
    if arguments.watch:
        return _watch(look, as_json=arguments.json)
    found = look()
    if arguments.json:
        _print_json(found)
    else:
        from tsds_stream.terminal import Page

        show(found.status, found.health, found.now, Page())
    return _answer(found.health)


def show(status: Json | None, health: Health, now: int, page: Page) -> None:
    """The state in a sentence, what is the matter and what to do, and the facts."""
    from tsds_stream.monitoring.wording import age

    page.line(health.sentence, style=_STYLES[health.state])
    for warning in health.warnings if health.state == "degraded" else ():
        page.line("")
        style = "bold red" if warning.severity == "critical" else "bold yellow"
        page.line(f"  {warning.runbook}: {warning.sentence}", style=style)
        page.line(f"  {warning.action}")
    if status is not None:
        page.line("")
        if health.state == "down":
            page.line(f"  What was known {age(status['created'], now)}:", style="dim")
        for label, words in _facts(status, now):
            page.line(f"  {label:<14}{words}")
        if status["sets"]:
            page.line("")
            headings = ["set", "revision", "published", "documents", "change", "targets", "drift", "exact"]
            page.table(headings, [_set_row(name, one, now) for name, one in status["sets"].items()], right=(1,))
        if status["events"]:
            page.line("")
            events = [[age(one["time"], now), one["set"], one["text"]] for one in status["events"][:_EVENTS]]
            page.table(["lately", "set", "what happened"], events)


def _facts(status: Json, now: int) -> list[tuple[str, str]]:
    from tsds_stream.monitoring import facts
    from tsds_stream.monitoring.wording import age, plural

    process, flow, publishing = status["process"], status["flow"], status["publishing"]
    drift = facts.stream_drift(status)
    letters = sum(flow["dead_letters"].values())
    found = {
        "stream": ", ".join(filter(None, (facts.speed(status), facts.done(status), facts.lag(status)))),
        "latency": facts.latency(status),
        "dead letters": f"{letters:,}" if letters else "",
        "embedder": "" if process["exit"] else facts.embedder(status, now),  # why it ended is said above
        "published": f"{age(publishing['heartbeat'], now)}; {plural(publishing['commits'], 'commit')}",
        "checkpoint": facts.checkpoint(status, now),
        "drift": drift.words + (", alarm at 1" if drift.score is not None else ""),
        "memory": facts.memory(status),
        "process": f"{process['pid']}, {process['phase']}, began {age(process['started'], now)}, "
        f"tsds-stream {status['version']}",
    }
    return [(label, words) for label, words in found.items() if words]


def _set_row(name: str, one: Json, now: int) -> list[str]:
    from tsds_stream.monitoring import facts
    from tsds_stream.monitoring.wording import age

    waiting = f" ({one['targets_pending']:,} waiting)" if one["targets_pending"] else ""
    targets = f"{one['targets_active']:,}{waiting}"
    if not one["revision"]:
        return [name, "none yet", "", "", "", targets, "", ""]
    documents = facts.members(one).removesuffix(" documents").removesuffix(" document")
    return [name, f"{one['revision']:,}", age(one["created"], now), documents, facts.change(one), targets,
            facts.selection_drift(one).words, facts.exactness(one)]  # fmt: skip


def _looking(arguments: argparse.Namespace) -> Callable[[], Look]:
    """What looks once at what the arguments name."""
    from time import time

    from tsds_stream.config import load_without_targets
    from tsds_stream.monitoring.status_source import look_at_directory, look_at_url

    if arguments.url is not None and arguments.overrides:
        raise CommandError("give --url or --directory, not both", ExitStatus.USAGE)
    if arguments.url is None and arguments.token_file is not None:
        raise CommandError("--token-file goes with --url", ExitStatus.USAGE)
    settings = load_without_targets(arguments.config, arguments.overrides)
    if arguments.url is not None:
        token = _token(arguments.token_file, settings)
        return lambda: look_at_url(arguments.url, token)
    root = Path(settings.state.directory)
    return lambda: look_at_directory(root, int(time() * 1000))


def _token(file: Path | None, settings: Settings) -> str | None:
    given = settings.monitoring.token
    file = file or (settings.monitoring.token_file if given is None else None)
    if file is None:
        return given.get_secret_value() if given is not None else None
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise CommandError(f"--token-file: {file} cannot be read: {reason}", ExitStatus.USAGE) from None
    if not token.isascii() or not token.isprintable() or not token:
        raise CommandError(f"--token-file: {file} does not hold a token: one line of ASCII is needed", ExitStatus.USAGE)
    return token


def _watch(look: Callable[[], Look], *, as_json: bool) -> Answer:
    """Show until Ctrl-C; a terminal shows one picture that changes, anything else gets a line for each look."""
    from time import sleep

    from tsds_stream.monitoring.live import LiveView

    # A shell that starts something in its background has it ignore Ctrl-C, which alone ends this.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    view = LiveView(stream=sys.stdout)
    found = look()
    try:
        with view if view.watched and not as_json else nullcontext():
            while True:
                view.judged(found.status, found.health)
                if as_json or not view.watched:
                    _print_line(found, as_json=as_json)
                sleep(_EVERY)
                found = look()
    except KeyboardInterrupt:
        return _answer(found.health)


def _answer(health: Health) -> Answer:
    return Answer[health.state.upper()]


def _document(found: Look) -> Json:
    return {**(found.status or {}), "health": found.health.as_json()}


def _print_json(found: Look) -> None:
    import orjson

    sys.stdout.write(orjson.dumps(_document(found), option=orjson.OPT_INDENT_2).decode() + "\n")


def _print_line(found: Look, *, as_json: bool) -> None:
    from datetime import datetime, timezone

    import orjson

    moment = datetime.fromtimestamp(found.now / 1000, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    line = orjson.dumps(_document(found)).decode() if as_json else f"{moment} {found.health.sentence}"
    print(line, flush=True)
