"""Layers of settings merged into one tree that remembers where each value came from."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from tsds_stream.configuration.errors import ConfigurationError
from tsds_stream.configuration.options import ENVIRONMENT_PREFIX, Section, section_at

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Path_ = tuple[str | int, ...]


class Override(NamedTuple):
    """One option of the command line."""

    section: str
    option: str
    value: Any
    name: str  # as the user wrote it: "--alpha"


class Layers:
    """The configuration file, the environment and the command line, in this order; the last one to speak wins."""

    def __init__(self, sections: Mapping[str, Section], names: Mapping[tuple[str, str], str] | None = None) -> None:
        self._sections = sections
        self.names = names or {}  # (section, option) -> what the command line calls it
        self._tree: dict[str, Any] = {}
        self._origins: dict[Path_, str] = {}
        self.file: str | None = None
        self.problems: list[str] = []

    def add_file(self, file: Path) -> None:
        """Read a TOML file. Raises `ConfigurationError` when there is none or it is not TOML."""
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise ConfigurationError([f"{file}: cannot be read: {reason}"]) from None
        try:
            self._tree = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigurationError([f"{file}: this is not TOML: {error}"]) from None
        self.file = str(file)
        self._refuse_secrets()

    def add_environment(self, environment: Mapping[str, str]) -> None:
        """Take every `TSDS_STREAM_SECTION__OPTION`. Other variables with the prefix belong to somebody else (a
        container platform makes some from the names of services), unless they are ours but for the underscores."""
        ours = {
            section.variable(option.name).replace("_", ""): section.variable(option.name)
            for section in self._sections.values()
            for option in section.options
        }
        for name in sorted(environment, key=lambda name: (not name.upper().endswith("__KIND"), name)):
            if not name.upper().startswith(ENVIRONMENT_PREFIX):
                continue
            path = [part.lower() for part in name[len(ENVIRONMENT_PREFIX) :].split("__")]
            meant = ours.get(name.upper().replace("_", ""), name.upper())
            if meant != name.upper():
                self.problems.append(f"{name}: a section and its option are joined by two underscores: {meant}")
            elif len(path) > 1:
                self._set_variable(name, path, environment[name])

    def add_overrides(self, overrides: Sequence[Override]) -> None:
        """Take the options of the command line; those of a target set need that there is only one."""
        for section, option, value, name in sorted(overrides, key=lambda override: override.option != "kind"):
            if not self._sections[section].repeated:
                self._set((*self._sections[section].path, option), value, name)
            elif len(self._items(section)) > 1:
                self.problems.append(
                    f"{name} is for one target set, and {self.file} has {len(self._items(section))}; set it there"
                )
            else:
                self._set((section, 0, option), value, name)

    def tree(self) -> dict[str, Any]:
        """What there is to validate: with "none" as None and with the default kind where a section names none."""
        for name, section in self._sections.items():
            if section.repeated and self.file is None:
                self._tree.setdefault(name, [{}])  # so that what is missing is an option, not a table
            for table in self._tables(section):
                if section.default_kind is not None:
                    table.setdefault("kind", section.default_kind)
                for key, value in table.items():
                    option = section.option(key, table.get("kind"))
                    if value == "none" and option is not None and option.optional:
                        table[key] = None
        return self._tree

    def origin(self, path: Path_) -> str | None:
        """The variable or command line option that set this value; None: the file, or nobody."""
        return self._origins.get(path)

    def _refuse_secrets(self) -> None:
        """A configuration file is copied, shown and committed; a secret has places of its own."""
        for section in self._sections.values():
            for option in section.options:
                for table in self._tables(section):
                    if option.secret and table.get(option.name, "none") != "none":
                        self.problems.append(
                            f"{self.file}: {section.heading} {option.name} is a secret, and secrets do not belong into "
                            f"this file: name a file that holds it with {option.name}_file, or set "
                            f"{section.variable(option.name)}"
                        )

    def _set_variable(self, name: str, path: list[str], text: str) -> None:
        section = section_at(self._sections, path)
        option = section.option(path[-1]) if section else None
        value = text if option and option.secret else _decoded(text)
        if section is None:
            near = get_close_matches(path[0], self._sections, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(self._sections)}"
            self.problems.append(f"{name}: there is no section {path[0]!r}; {hint}")
        elif tuple(path) == section.path:
            self.problems.append(f"{name}: {section.heading} is a table; set its options one by one")
        elif not section.repeated:
            self._set(tuple(path), value, name)
        elif len(path) < 3:
            self.problems.append(f"{name}: say which one: {section.variable(path[1])} (by number from 0, or by name)")
        else:
            index = self._item_index(path[0], path[1])
            if index is None:
                self.problems.append(f"{name}: there is no {path[0]} number or name {path[1]!r}")
            else:
                self._set((path[0], index, *path[2:]), value, name)

    def _tables(self, section: Section) -> list[dict[str, Any]]:
        """What is given for a section: one table, none, or several."""
        node: Any = self._tree
        for step in section.path:
            node = node.get(step) if isinstance(node, dict) else None
        return [table for table in (node if isinstance(node, list) else [node]) if isinstance(table, dict)]

    def _items(self, section: str) -> list[Any]:
        items = self._tree.get(section)
        return items if isinstance(items, list) else []

    def _item_index(self, section: str, label: str) -> int | None:
        items = self._items(section)
        names = [str(item.get("name", "default")).lower() if isinstance(item, dict) else "" for item in items]
        if label in names:
            return names.index(label)
        return int(label) if label.isdigit() and int(label) <= len(items) else None

    def _set(self, path: Path_, value: Any, name: str) -> None:
        table: Any = self._tree
        for step, following in pairwise(path):
            if isinstance(step, int):
                if step == len(table):
                    table.append({})
            elif not isinstance(table.get(step), (list if isinstance(following, int) else dict)):
                table[step] = [] if isinstance(following, int) else {}
            table = table[step]
        section = section_at(self._sections, path)
        if section and path[-1] == "kind" and table.get("kind", section.default_kind) != value:
            table.clear()  # another kind has other options: those of the layer below were not meant for it
        table[path[-1]] = value
        self._origins[path] = name


def _decoded(text: str) -> Any:
    if text[:1] in "[{":
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            return text
    return text
