"""`tsds-stream preview`: what other settings would select from the present state."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tsds_stream.exit_status import ExitStatus

if TYPE_CHECKING:
    from tsds_stream.configuration.layers import Override
    from tsds_stream.records import Json
    from tsds_stream.selection.revision import Revision
    from tsds_stream.selection.selector import Selector
    from tsds_stream.selection.settings import SelectorConfig
    from tsds_stream.stored_state import StoredState

USAGE = "[--budget N] [--alpha A] [--sigma S] [...]  [--state DIR | --config FILE] [--set NAME] [--json]"
DESCRIPTION = (
    "Show what another budget, alpha, sigma or mode would select from the newest checkpoint of a run, and how far that "
    "is from the present selection. Nothing is published or stored."
)
EXAMPLES = """\
examples:
  tsds-stream preview --budget 500
  tsds-stream preview --sigma 0.4 --mode turns --state state/
  tsds-stream preview --alpha 0.05 --config tsds.toml --json | jq .size
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes: the options that need no document to be read again."""
    from tsds_stream.config import SECTIONS
    from tsds_stream.configuration.command_line import add_options
    from tsds_stream.selection.settings import STRUCTURAL

    parser.add_argument("--set", metavar="NAME", help="target set; needed only where there are several")
    parser.add_argument("--config", metavar="FILE", type=Path, help="the configuration of the run")
    add_options(parser, SECTIONS["state"], "state", names={"directory": "--state"}, only=("directory",))
    fixed = {"name", "targets", "calibration", *STRUCTURAL}
    add_options(parser, SECTIONS["target_sets"], "what if", without=fixed, defaults=False)
    parser.add_argument("--json", action="store_true", help="for scripts")


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Show the preview."""
    from tsds_stream.config import load_without_targets
    from tsds_stream.stored_state import open_state

    asked = [override for override in arguments.overrides if override.section == "target_sets"]
    others = [override for override in arguments.overrides if override.section != "target_sets"]
    state = open_state(Path(load_without_targets(arguments.config, others).state.directory))
    selector = state.selector(state.choose(arguments.set))
    changed = _changed(selector.config, asked)
    present = selector.preview()
    revision = selector.preview(**changed)
    if arguments.json:
        _print_json(revision, present, changed)
    else:
        _print(revision, present, changed, selector, state)
    return ExitStatus.OK


def _changed(config: SelectorConfig, asked: list[Override]) -> dict[str, Any]:
    """The settings that were asked for, judged together with those of the state; all problems at once."""
    from tsds_stream.config import load_settings
    from tsds_stream.configuration.layers import Override

    stand_in = Override("target_sets", "targets", "in the state", "--targets")
    base = [Override("target_sets", name, value, name) for name, value in config.model_dump().items()]
    settings = load_settings(None, [stand_in, *base, *asked], environment={})
    judged = settings.target_sets[0].selector_config().model_dump()
    return {override.option: judged[override.option] for override in asked}


def _print(
    revision: Revision, present: Revision, changed: dict[str, Any], selector: Selector, state: StoredState
) -> None:
    from tsds_stream.configuration.options import shown
    from tsds_stream.summary import show_summary
    from tsds_stream.terminal import Page, count

    page = Page()
    order = sorted(range(len(revision)), key=lambda i: (-revision.probabilities[i], revision.ids[i]))[:5]
    ids = [revision.ids[i] for i in order]
    nearest = selector.nearest_targets(ids)
    texts = state.texts(ids, [revision.keys[i] for i in order])
    best: list[Json] = [
        {"id": revision.ids[i], "probability": float(revision.probabilities[i]), "nearest": near, "text": text}
        for i, near, text in zip(order, nearest, texts, strict=True)
    ]
    config = selector.config.model_copy(update=changed)
    page.line(
        "Preview with " + (", ".join(f"{name} = {shown(value)}" for name, value in changed.items()) or "no change")
    )
    show_summary(
        page, revision, best, [], sigma_is_automatic=config.sigma == "auto", alpha_is_automatic=config.alpha == "auto"
    )
    came, went = _difference(revision, present)
    page.heading("Against the present selection")
    page.line(
        f"  {count(len(came), 'document')} would come, {len(went):,} would go, {len(revision) - len(came):,} would "
        f"stay; cost {present.transport_cost:.4f} -> {revision.transport_cost:.4f}"
    )


def _print_json(revision: Revision, present: Revision, changed: dict[str, Any]) -> None:
    import orjson

    from tsds_stream.summary import facts

    came, went = _difference(revision, present)
    content = {"settings": changed, **facts(revision), "ids": revision.ids, "would_come": came, "would_go": went}
    print(orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY).decode())


def _difference(revision: Revision, present: Revision) -> tuple[list[str], list[str]]:
    before, after = set(present.ids), set(revision.ids)
    return sorted(after - before), sorted(before - after)
