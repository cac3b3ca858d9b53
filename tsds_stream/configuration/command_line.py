"""Command line options made from the sections of the settings tree, so that an option is written down once."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tsds_stream.configuration.layers import Override
from tsds_stream.configuration.options import REQUIRED, Option, Section


def add_options(
    parser: argparse.ArgumentParser,
    section: Section,
    title: str,
    prefix: str = "",
    names: Mapping[str, str] | None = None,
    only: Collection[str] | None = None,
    without: Collection[str] = (),
    kind: str | None = None,
    defaults: bool = True,
) -> None:
    """Add `--{prefix}{option}` for the options of a section; but none for a secret, which others could see there.

    A true-or-false option gets two flags: `--name` and `--no-name`, or those of a name like `--follow/--once`. Values
    stay text: the settings tree judges them, together with those of the file and the environment.

    Args:
        names: other names for some of them.
        only, without: which of them.
        kind: of a section with kinds: only what this one has.
        defaults: False: the help does not mention them, because the values of a state take their place.
    """
    group = parser.add_argument_group(title)
    for name in section.names():
        if (only is not None and name not in only) or name in without:
            continue
        variants = [one for one in section.options if one.name == name and (kind is None or kind in one.kinds)]
        if not variants or variants[0].secret:
            continue
        flag = (names or {}).get(name) or f"--{prefix}{name}".replace("_", "-")
        option = variants[0]
        boolean = {"nargs": 0} if option.boolean else {"metavar": _metavar(option)}
        flags = _both(flag) if option.boolean else [flag]
        group.add_argument(
            *flags,
            action=_Record,
            dest="overrides",
            option=option,
            help=_help(variants, len(section.kinds) if kind is None else 1, defaults),
            default=[],
            **boolean,
        )


class _Record(argparse.Action):
    """Appends an `Override` that remembers what the user typed."""

    def __init__(self, option: Option, **settings: Any) -> None:
        super().__init__(**settings)
        self._option = option

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        name = option_string or self.option_strings[0]
        value = name == self.option_strings[0] if self._option.boolean else values
        override = Override(self._option.section, self._option.name, value, name)
        namespace.overrides = [*namespace.overrides, override]


def _both(flag: str) -> list[str]:
    on, _, off = flag.partition("/")
    return [on, off or f"--no-{on[2:]}"]


def _help(variants: Sequence[Option], kinds: int, defaults: bool) -> str:
    """What an option means, for which kinds where not for all of them, and its default where they agree on one."""
    option = variants[0]
    owners = [owner for variant in variants for owner in variant.kinds]
    parts = [f"{', '.join(owners)}: {option.description}" if len(owners) < kinds and owners else option.description]
    shown = {variant.shown_default for variant in variants if variant.default is not REQUIRED}
    if defaults and not option.boolean and len(shown) == 1 and "" not in shown:
        parts.append(f"(default: {shown.pop()})")
    elif defaults and len(shown) > 1:
        each = (f"{', '.join(variant.kinds)}: {variant.shown_default or 'required'}" for variant in variants)
        parts.append(f"(default, {'; '.join(each)})")
    return " ".join(part for part in parts if part).replace("%", "%%")


def _metavar(option: Option) -> str:
    if option.choices:
        return "{" + ",".join(option.choices) + "}"
    if option.unit:
        return "SIZE" if option.unit == "size" else "DURATION"
    return "N" if option.accepted.startswith("a whole number") else option.name.rsplit("_", 1)[-1].upper()
