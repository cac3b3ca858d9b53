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
from tsds_stream.configuration.options import ENVIRONMENT_PREFIX, Section

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
            if len(path) == 1:
                if name.upper().replace("_", "") in ours:
                    meant = ours[name.upper().replace("_", "")]
                    self.problems.append(f"{name}: a section and its option are joined by two underscores: {meant}")
                continue
            self._set_variable(name, path, _decoded(environment[name]))

    def add_overrides(self, overrides: Sequence[Override]) -> None:
        """Take the options of the command line; those of a target set need that there is only one."""
        for section, option, value, name in sorted(overrides, key=lambda override: override.option != "kind"):
            if not self._sections[section].repeated:
                self._set((section, option), value, name)
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
            tables = self._items(name) if section.repeated else [self._tree.get(name)]
            for table in tables:
                if not isinstance(table, dict):
                    continue
                if section.default_kind is not None and table:
                    table.setdefault("kind", section.default_kind)
                for key, value in table.items():
                    option = section.option(key, table.get("kind"))
                    if value == "none" and option is not None and option.optional:
                        table[key] = None
        return self._tree

    def origin(self, path: Path_) -> str | None:
        """The variable or command line option that set this value; None: the file, or nobody."""
        return self._origins.get(path)

    def _set_variable(self, name: str, path: list[str], value: Any) -> None:
        section = self._sections.get(path[0])
        if section is None:
            near = get_close_matches(path[0], self._sections, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(self._sections)}"
            self.problems.append(f"{name}: there is no section {path[0]!r}; {hint}")
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
        if path[-1] == "kind" and table.get("kind", self._sections[str(path[0])].default_kind) != value:
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
