"""What is wrong with a configuration: one sentence per problem, with option, value, place and accepted values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from tsds_stream.configuration.options import Section, section_at, sections_of, shown
from tsds_stream.exit_status import CommandError, ExitStatus

if TYPE_CHECKING:
    from tsds_stream.configuration.layers import Layers, Path_


class ConfigurationError(CommandError):
    """The configuration cannot work; `problems` has a sentence for each reason."""

    def __init__(self, problems: Sequence[str]) -> None:
        count = len(problems)
        heading = "" if count == 1 else f"{count} problems in the configuration:\n  "
        super().__init__(heading + "\n  ".join(problems), ExitStatus.USAGE)
        self.problems = list(problems)


def problems_of(error: ValidationError, tree: dict[str, Any], layers: Layers, model: type[BaseModel]) -> list[str]:
    """A sentence for each problem, also for those that validation sees only once the first ones are gone."""
    problems: list[str] = []
    names: list[str] = []
    failure: ValidationError | None = error
    while failure is not None:
        describe = _Describer(tree, layers, sections_of(model))
        for problem in describe.all_of(failure):
            if problem not in problems and not any(name in problem for name in names):  # perhaps our own doing
                problems.append(problem)
        names += [str(path[-1]) for path in describe.bad]
        reduced = _without(tree, describe.bad)
        failure = _failure(model, reduced) if reduced != tree else None
        tree = reduced
    return problems


def _failure(model: type[BaseModel], tree: dict[str, Any]) -> ValidationError | None:
    try:
        model.model_validate(tree)
    except ValidationError as error:
        return error
    return None


class _Describer:
    def __init__(self, tree: dict[str, Any], layers: Layers, sections: Mapping[str, Section]) -> None:
        self._tree, self._layers, self._sections = tree, layers, sections
        self.bad: list[Path_] = []

    def all_of(self, error: ValidationError) -> Iterator[str]:
        for details in error.errors(include_url=False):
            path = self._path(details["loc"])
            if details["type"] == "value_error" and self._is_table(path):
                message = details["msg"].removeprefix("Value error, ")
                place = self._place(path)
                yield from (f"{place}{part}" for part in message.split("; "))
                self.bad += self._named_in(message, path)
            elif path not in self.bad:  # a union complains once per member
                self.bad.append(path)
                if details["type"] == "union_tag_invalid":
                    path = (*path, "kind")
                yield self._sentence(path, details["type"], details["msg"].removeprefix("Value error, "))

    def _named_in(self, message: str, path: Path_) -> list[Path_]:
        """The options that a contradiction is about."""
        table = self._value(path)
        options = table if isinstance(table, dict) and path else ()
        return [(*path, name) for name in options if name != "kind" and re.search(rf"\b{re.escape(name)}\b", message)]

    def _path(self, location: tuple[int | str, ...]) -> Path_:
        """The place in the tree; pydantic adds the names of union members to it."""
        path: list[int | str] = []
        node: Any = self._tree
        for step in location:
            if isinstance(node, dict) and step not in node and step == node.get("kind"):
                continue
            if len(path) >= 2 and not isinstance(node, (dict, list)):
                break
            path.append(step)
            try:
                node = node[step]
            except (KeyError, IndexError, TypeError):
                node = None
        return tuple(path)

    def _value(self, path: Path_) -> Any:
        node: Any = self._tree
        for step in path:
            try:
                node = node[step]
            except (KeyError, IndexError, TypeError):
                return None
        return node

    def _is_table(self, path: Path_) -> bool:
        return not path or isinstance(self._value(path), (dict, list))

    def _place(self, path: Path_) -> str:
        """Where to look, in front of a sentence: `tsds.toml: [[target_sets]] "default" `."""
        if not path:
            return f"{self._layers.file}: " if self._layers.file else ""
        section = section_at(self._sections, path)
        if section is None:
            return self._place(())
        return f"{self._place(())}{section.heading}{self._item(path)} "

    def _item(self, path: Path_) -> str:
        """Which of several target sets."""
        items = self._tree.get(str(path[0]))
        if len(path) < 2 or not isinstance(path[1], int) or not isinstance(items, list) or len(items) < 2:
            return ""
        name = items[path[1]].get("name") if isinstance(items[path[1]], dict) else None
        return f' "{name}":' if name else f" number {path[1]}:"

    def _sentence(self, path: Path_, code: str, message: str) -> str:
        section = section_at(self._sections, path)
        if section is None:
            return f"{self._place(())}{_unknown(str(path[0]), 'section', list(self._sections))}"
        if code == "missing":
            return self._missing(path, section)
        rest = [str(step) for step in path[len(section.path) :] if not isinstance(step, int)]
        value = self._value(path)
        if not rest:
            return f"{self._place(())}{section.heading} must be a table, not {shown(value)}"
        kind = self._kind(path)
        origin = self._layers.origin(path)
        where = f"{origin}: " if origin else self._place(path)
        if code == "extra_forbidden":
            return f"{where}{self._unknown_option(section, rest[0], kind)}"
        option = section.option(rest[0], kind)
        name = "" if origin else f"{rest[0]} = "
        given = f"{name}{_quoted(value)} is not accepted" if not (option and option.secret) else f"{rest[0]} is wrong"
        if code == "value_error" or option is None:
            return f"{where}{given}: {message}"
        return f"{where}{given}; expected {option.accepted}"

    def _missing(self, path: Path_, section: Section) -> str:
        name = str(path[-1])
        if len(path) == 1:
            return f"{self._place(())}{section.heading} is missing: {section.description}"
        option = section.option(name, self._kind(path))
        meaning = f": {option.description}" if option else ""
        accepted = option.accepted.removesuffix(' or "none"') if option else ""
        meaning += f"; expected {accepted}" if accepted not in ("", "a text") else ""
        flag = self._layers.names.get((section.name, name))
        return f"{flag or self._place(path) + name} is missing{meaning}"

    def _kind(self, path: Path_) -> str | None:
        kind = self._value((*path[:-1], "kind"))
        return kind if isinstance(kind, str) else None

    def _unknown_option(self, section: Section, name: str, kind: str | None) -> str:
        here = [option.name for option in section.options if not option.kinds or kind in option.kinds]
        here += [other.path[-1] for other in self._sections.values() if other.path[:-1] == section.path]
        other_kinds = [option.kinds[0] for option in section.options if option.name == name and option.kinds]
        if other_kinds:
            return f"{name} is an option of kind = {' and '.join(map(_quoted, other_kinds))}, and this is {kind!r}"
        elsewhere = [other.heading for other in self._sections.values() if other.option(name)]
        if elsewhere:
            return f"there is no option {name!r} here; it belongs to {' or '.join(elsewhere)}"
        return _unknown(name, "option", here)


def _unknown(name: str, what: str, known: list[str]) -> str:
    near = get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
    return f"there is no {what} {name!r}; {hint}"


def _quoted(value: Any) -> str:
    text = f'"{value}"' if isinstance(value, str) else shown(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _without(tree: Any, paths: Sequence[Path_], at: Path_ = ()) -> Any:
    """A copy of the tree without the values at `paths`."""
    if isinstance(tree, dict):
        return {key: _without(value, paths, (*at, key)) for key, value in tree.items() if (*at, key) not in paths}
    if isinstance(tree, list):
        return [_without(value, paths, (*at, index)) for index, value in enumerate(tree) if (*at, index) not in paths]
    return tree
