"""`tsds-stream explain`: why a document is selected or not."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tsds_stream.exit_status import CommandError, ExitStatus

if TYPE_CHECKING:
    from tsds_stream.config import Settings
    from tsds_stream.selection.explain import Explanation
    from tsds_stream.selection.selector import Selector
    from tsds_stream.stored_state import StoredState

USAGE = "ID | --text TEXT | --file FILE  [--state DIR | --config FILE] [--set NAME] [--json]"
DESCRIPTION = (
    "Say why a document is selected or not, from the newest checkpoint of a run: its nearest targets, density, "
    "probability, rank, and what would have to change. With --text or --file: how near a document that was never seen "
    "lies, and what probability it would get."
)
EXAMPLES = """\
examples:
  tsds-stream explain some-document-id
  tsds-stream explain --text "How do I open a socket in Python?" --state state/
  tsds-stream explain --file article.txt --config tsds.toml --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    from tsds_stream.config import SECTIONS
    from tsds_stream.configuration.command_line import add_options

    parser.add_argument("id", metavar="ID", nargs="?", help="id of a document")
    parser.add_argument("--text", help="the text of a document")
    parser.add_argument("--file", metavar="FILE", type=Path, help="a file with the text of a document; -: stdin")
    parser.add_argument("--set", metavar="NAME", help="target set; needed only where there are several")
    parser.add_argument("--config", metavar="FILE", type=Path, help="the configuration of the run")
    add_options(parser, SECTIONS["state"], "state", names={"directory": "--state"}, only=("directory",))
    add_options(parser, SECTIONS["embedder"], "embedder of the run", "embedder-", {"kind": "--embedder"})
    parser.add_argument("--json", action="store_true", help="for scripts")


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Print the explanation."""
    given = [value for value in (arguments.id, arguments.text, arguments.file) if value is not None]
    if len(given) != 1:
        raise CommandError("give one of ID, --text and --file", ExitStatus.USAGE)
    from tsds_stream.config import load_without_targets
    from tsds_stream.stored_state import open_state

    settings = load_without_targets(arguments.config, arguments.overrides)
    state = open_state(Path(settings.state.directory))
    selector = state.selector(state.choose(arguments.set))
    if arguments.id is not None:
        explanation = selector.explain(arguments.id)
    else:
        explanation = _explain_text(_text(arguments), settings, state, selector)
    if arguments.json:
        _print_json(explanation)
    else:
        _print_sentences(explanation, state)
    return ExitStatus.OK


def _text(arguments: argparse.Namespace) -> str:
    if arguments.text is not None:
        return str(arguments.text)
    if str(arguments.file) == "-":
        return sys.stdin.read()
    try:
        return str(arguments.file.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise CommandError(f"{arguments.file} is not UTF-8 text", ExitStatus.INPUT) from None


def _explain_text(text: str, settings: Settings, state: StoredState, selector: Selector) -> Explanation:
    from tsds_stream.embedding.base import check_fingerprint
    from tsds_stream.embedding.factory import create

    embedder = create(settings.embedder)
    try:
        check_fingerprint(state.meta["embedder"], embedder.fingerprint)
        return selector.explain_embedding(embedder.embed([text])[0])
    finally:
        embedder.close()


def _print_sentences(explanation: Explanation, state: StoredState) -> None:
    from tsds_stream.terminal import Page

    page = Page()
    for number, sentence in enumerate(explanation.sentences()):
        page.line(sentence, style="bold" if number == 0 else None)
    for problem in state.problems:
        page.warning(problem)


def _print_json(explanation: Explanation) -> None:
    import orjson

    options = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY
    print(orjson.dumps(explanation.as_dict(), option=options).decode())
