"""The command line: finds the command, imports only that one, and turns whatever happens into an exit code.

`--help` must answer at once, so nothing that takes time to import stands at the top of this file.
"""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from importlib import import_module
from typing import Any, NoReturn, Protocol, cast

from tsds_stream.exit_status import CommandError, ExitStatus

COMMANDS = {
    "demo": "see it work: real text, offline, in under a minute",
    "select": "the best documents of a corpus for a task, once",
    "compare": "which way of selecting is best on your data, with intervals",
    "run": "the same, continuously: publish a revision whenever the selection changes",
    "status": "is the run healthy, what is the matter, what to do; as exit code too",
    "explain": "why a document is selected, or what it lacks",
    "preview": "what another budget, alpha or sigma would select from the present state",
    "export": "write a published selection, or what changed in it, as JSONL, Parquet or MDS",
    "inspect": "look into a published selection, compare revisions",
    "verify": "prove what was published: compute it again from the documents, and compare",
    "served": "which documents a training run was served, when, under which revision",
    "produce": "send files to a topic of documents or of targets",
    "topics": "check the topics of Kafka against the configuration, or make the missing ones",
    "metrics": "print the reference of the metrics that a run exports",
    "config": "print the default configuration, check one, or print the reference",
    "dead-letters": "list or retry records that could not be used",
    "calibrate": "measure sigma anew on the present state and freeze it",
}

DESCRIPTION = "Selects, from documents that never stop arriving, the best ones for a task given by examples."

EXAMPLES = """\
examples:
  tsds-stream demo
  tsds-stream select --documents corpus/ --targets targets.jsonl --budget 1000 --output selection.jsonl
  tsds-stream run --documents corpus/ --targets targets.jsonl --budget 1000 --output selection/ --follow
  tsds-stream explain some-document-id --state state/
"""


class Command(Protocol):
    """What a module of `tsds_stream.commands` has.

    One whose exit code is an answer also has ANSWERS, what each code means; its errors end with `ExitStatus.INPUT`.
    """

    USAGE: str
    DESCRIPTION: str
    EXAMPLES: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...
    def run(self, arguments: argparse.Namespace) -> int: ...


class _Parser(argparse.ArgumentParser):
    """Errors in the manner of this program: one sentence, the nearest option, and where to look."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        found, unknown = self.parse_known_args(args, namespace)
        if unknown:
            known = [flag for action in self._actions for flag in action.option_strings]
            option = unknown[0].partition("=")[0]
            near = get_close_matches(option, known, 1) if option.startswith("-") else []
            hint = f"; did you mean {near[0]}?" if near else ""
            self.error(f"{' '.join(unknown)} is not understood{hint}")
        return found

    def error(self, message: str) -> NoReturn:
        raise CommandError(f"{message} (see: {self.prog} --help)", ExitStatus.USAGE)


class _Formatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=32, width=min(_columns() - 2, 110))


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; never raises for what a user can cause."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    try:
        status = _run([word for word in words if word != "--debug"])
        sys.stdout.flush()
        return int(status)
    except SystemExit as leaving:  # argparse, after --help and --version
        return leaving.code if isinstance(leaving.code, int) else int(ExitStatus.USAGE)
    except BrokenPipeError:
        _give_up_stdout()  # the reader of our output left (`| head`): leave without a word
        return int(ExitStatus.INTERRUPTED)
    except KeyboardInterrupt:
        print("tsds-stream: interrupted", file=sys.stderr)
        return int(ExitStatus.INTERRUPTED)
    except Exception as error:  # the last place that can turn an error into a sentence
        if debug:
            raise
        status, sentence = _explained(error)
        try:
            sys.stdout.flush()
        except OSError:
            _give_up_stdout()
        print(f"tsds-stream: {sentence}", file=sys.stderr)
        return int(status)


def _give_up_stdout() -> None:
    """What cannot be written must not be tried again at interpreter exit, which would add noise and its own code."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(words: list[str]) -> int:
    name = next((word for word in words if not word.startswith("-")), None)
    if name is None or words.index(name) > 0:
        top = _top_parser()
        top.parse_args(words)
        top.print_help()
        return ExitStatus.OK
    if name not in COMMANDS:
        raise CommandError(_no_such_command(name), ExitStatus.USAGE)
    parser, command = command_parser(name)
    try:
        return command.run(parser.parse_args(words[1:]))
    except BrokenPipeError:
        raise
    except Exception as error:
        if not hasattr(command, "ANSWERS"):
            raise
        _, sentence = _explained(error)
        raise CommandError(sentence, ExitStatus.INPUT) from error


def command_parser(name: str) -> tuple[argparse.ArgumentParser, Command]:
    """The parser and the module of one command."""
    with _interrupts_held():
        command = cast(Command, import_module(f"tsds_stream.commands.{name.replace('-', '_')}"))
    parser = _Parser(
        prog=f"tsds-stream {name}",
        usage=f"tsds-stream {name} {command.USAGE}",
        description=command.DESCRIPTION,
        epilog=f"{command.EXAMPLES}\n{_exit_codes(getattr(command, 'ANSWERS', None))}",
        formatter_class=_Formatter,
        allow_abbrev=False,
    )
    command.add_arguments(parser)
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser, command


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Deliver Ctrl-C at the end: compiled modules do not survive an interruption of their import."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _top_parser() -> argparse.ArgumentParser:
    from tsds_stream import __version__

    listing = "\n".join(f"  {name:<14} {summary}" for name, summary in COMMANDS.items())
    parser = _Parser(
        prog="tsds-stream",
        usage="tsds-stream COMMAND [OPTIONS]     (tsds-stream COMMAND --help: its options and examples)",
        description=DESCRIPTION,
        epilog=f"commands:\n{listing}\n\n{EXAMPLES}\n{_exit_codes()}",
        formatter_class=_Formatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"tsds-stream {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def _exit_codes(answers: Mapping[int, str] | None = None) -> str:
    meanings = answers or {status: status.meaning for status in ExitStatus}
    return "exit codes:\n" + "\n".join(f"  {int(code)}  {meaning}" for code, meaning in meanings.items())


def _no_such_command(name: str) -> str:
    near = get_close_matches(name, COMMANDS, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(COMMANDS)}"
    return f"there is no command {name!r}; {hint}"


def _explained(error: Exception) -> tuple[ExitStatus, str]:
    """The exit code and the sentence of an error."""
    if isinstance(error, CommandError):
        return error.status, str(error)
    # Errors of our own parts are known by their modules, so that none has to be imported to recognise another.
    for kind in type(error).__mro__:
        status = _STATUS_OF_ERROR.get(kind.__name__) if kind.__module__.startswith("tsds_stream.") else None
        if status is not None:
            return status, str(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = f"for {error.filename}" if error.filename is not None else "on the disk that is written to"
        return ExitStatus.STATE, f"no space is left {where}: free some and start again"
    if isinstance(error, OSError) and error.filename is not None:
        return ExitStatus.INPUT, f"{error.filename}: {error.strerror}"
    summary = str(error).splitlines()[0] if str(error) else "no details"
    return ExitStatus.UNEXPECTED, f"unexpected {type(error).__name__}: {summary} (--debug shows where)"


_STATUS_OF_ERROR = {
    "SourceError": ExitStatus.INPUT,
    "EmbedderError": ExitStatus.INPUT,
    "SinkError": ExitStatus.STATE,
    "CheckpointError": ExitStatus.STATE,
    "PayloadError": ExitStatus.STATE,
    "FingerprintMismatch": ExitStatus.STATE,
    "LockedError": ExitStatus.STATE,
    "DamagedFileError": ExitStatus.STATE,
    "NoSuchRevisionError": ExitStatus.STATE,
    "ExportError": ExitStatus.STATE,
    "RevisionError": ExitStatus.INPUT,
    "NoRevisionError": ExitStatus.STATE,
    "GoneRevisionError": ExitStatus.STATE,
    "DamagedRevisionError": ExitStatus.STATE,
    "TargetsError": ExitStatus.INPUT,
    "RecordError": ExitStatus.INPUT,
    "LoaderError": ExitStatus.STATE,
}


def _columns() -> int:
    from shutil import get_terminal_size

    return max(get_terminal_size().columns, 60)
