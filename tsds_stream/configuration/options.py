"""The settings tree as a list of options: what the command line, the messages and the reference page need to know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from tsds_stream.units import Unit, format_duration, format_size

ENVIRONMENT_PREFIX = "TSDS_STREAM_"
REQUIRED = PydanticUndefined


@dataclass(frozen=True, slots=True)
class Option:
    """One leaf of the settings tree."""

    section: str
    name: str
    accepted: str  # a phrase: "a whole number of at least 1"
    default: Any  # `REQUIRED` when it must be given
    description: str
    kinds: tuple[str, ...] = ()  # the kinds of the section that have it; empty: all
    choices: tuple[str, ...] = ()  # when nothing else is accepted
    boolean: bool = False
    multiple: bool = False  # a list
    optional: bool = False  # "none" is accepted
    secret: bool = False
    unit: str | None = None

    @property
    def shown_default(self) -> str:
        """The default as a person writes it."""
        return "" if self.default is REQUIRED else shown(self.default, self.unit)


@dataclass(frozen=True, slots=True)
class Section:
    """A table of the configuration file."""

    name: str  # "kafka", "kafka.topics"
    description: str
    repeated: bool  # [[name]]
    default_kind: str | None  # of a section whose options depend on its `kind`
    options: tuple[Option, ...]
    kinds: dict[str, str] = field(default_factory=dict)  # of such a section: kind -> description

    @property
    def path(self) -> tuple[str, ...]:
        """Where it is in the settings tree."""
        return tuple(self.name.split("."))

    @property
    def heading(self) -> str:
        """As TOML writes it."""
        return f"[[{self.name}]]" if self.repeated else f"[{self.name}]"

    def option(self, name: str, kind: str | None = None) -> Option | None:
        """The option of this name; where kinds differ in it, that of `kind` or else the first."""
        found = [option for option in self.options if option.name == name]
        return next((option for option in found if kind in option.kinds), found[0] if found else None)

    def names(self) -> list[str]:
        """The names of all options, each once, in order."""
        return list(dict.fromkeys(option.name for option in self.options))

    def variable(self, name: str) -> str:
        """The environment variable of an option; target sets are told apart by number (or name)."""
        index = "0__" if self.repeated else ""
        return f"{ENVIRONMENT_PREFIX}{'__'.join(self.path)}__{index}{name}".upper()


def sections_of(tree: type[BaseModel]) -> dict[str, Section]:
    """The sections of a settings tree, by name, in their order; those inside another one follow it."""
    found: dict[str, Section] = {}
    for name, info in tree.model_fields.items():
        found[name] = _section(name, info)
        for model in _models_of(info)[1]:
            found |= {
                f"{name}.{inner}": _section(f"{name}.{inner}", inside) for inner, inside in _tables(model).items()
            }
    return found


def section_at(sections: Mapping[str, Section], path: Sequence[int | str]) -> Section | None:
    """The innermost section that a path in the settings tree leads into."""
    inner = sections.get(".".join(map(str, path[:2])))
    return inner or (sections.get(str(path[0])) if path else None)


def shown(value: Any, unit: str | None = None) -> str:
    """A value as a person writes it: none, true, 0.05, auto, 1 MiB."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        if unit == "duration":
            return format_duration(value)
        if unit == "milliseconds":
            return format_duration(value / 1000)
        if unit == "size":
            return format_size(int(value))
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(shown(item) for item in value) + "]"
    return str(value)


def _section(name: str, info: FieldInfo) -> Section:
    repeated, models = _models_of(info)
    kinds = {kind: _documentation(model) for model in models for kind in _kind(model)} if len(models) > 1 else {}
    options = []
    for model in models:
        for field_name, field_info in _own_fields_first(model):
            if not (kinds and field_name == "kind") and field_name not in _tables(model):
                options.append(_option(name, field_name, field_info, _kind(model) if kinds else ()))
    if not kinds:
        return Section(name, _documentation(models[0]), repeated, None, tuple(options))
    default_kind = info.get_default(call_default_factory=True, validated_data={}).kind
    options.insert(0, Option(name, "kind", _one_of(tuple(kinds)), default_kind, "which one", choices=tuple(kinds)))
    return Section(name, info.description or "", repeated, default_kind, tuple(options), kinds)


def _own_fields_first(model: type[BaseModel]) -> list[tuple[str, FieldInfo]]:
    """The fields of a model: those that it adds to its base come first."""
    inherited = {name for base in model.__mro__[1:] for name in getattr(base, "model_fields", {})}
    return sorted(model.model_fields.items(), key=lambda item: item[0] in inherited)


def _models_of(info: FieldInfo) -> tuple[bool, list[type[BaseModel]]]:
    """Whether there may be several such tables, and what is in one."""
    annotation: Any = info.annotation
    repeated = get_origin(annotation) is list
    return repeated, [get_args(annotation)[0]] if repeated else _models(annotation)


def _tables(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The tables inside a table."""
    return {
        name: info
        for name, info in model.model_fields.items()
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel)
    }


def _documentation(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").split())


def _models(annotation: Any) -> list[type[BaseModel]]:
    if get_origin(annotation) is Annotated:
        return _models(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [model for member in get_args(annotation) for model in _models(member)]
    return [annotation]


def _kind(model: type[BaseModel]) -> tuple[str, ...]:
    return tuple(map(str, get_args(model.model_fields["kind"].annotation)))


def _option(section: str, name: str, info: FieldInfo, kinds: tuple[str, ...]) -> Option:
    members = _members(info.annotation)
    plain = [member for member in members if member is not NoneType]
    default = info.get_default(call_default_factory=True, validated_data={})
    only = plain[0] if len(plain) == 1 else None
    units = [meta.name for member in _annotations(info.annotation) for meta in member if isinstance(meta, Unit)]
    units += [meta.name for meta in info.metadata if isinstance(meta, Unit)]
    return Option(
        section,
        name,
        accepted=accepted(info.annotation, tuple(info.metadata)),
        default=default,
        description=info.description or "",
        kinds=kinds,
        choices=tuple(map(str, get_args(only))) if get_origin(only) is Literal and len(members) == 1 else (),
        boolean=only is bool,
        multiple=get_origin(only) in (list, tuple),
        optional=NoneType in members,
        secret=SecretStr in plain,
        unit=units[0] if units else None,
    )


def accepted(annotation: Any, constraints: tuple[Any, ...] = ()) -> str:
    """What a setting of this type accepts, as a phrase."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        inner = tuple(
            item for meta in arguments[1:] for item in (meta.metadata if isinstance(meta, FieldInfo) else [meta])
        )
        return accepted(arguments[0], inner + constraints)
    if origin in (Union, UnionType):
        phrases = [accepted(member, constraints) for member in arguments]
        return phrases[0] if len(phrases) == 1 else f"{', '.join(phrases[:-1])} or {phrases[-1]}"
    if origin is Literal:
        return _one_of(tuple(map(str, arguments)))
    if origin in (list, tuple):
        return f"a list, each item {accepted(arguments[0])}" if arguments else "a list"
    if origin is dict or annotation is dict:
        return "a table"
    unit = next((item.name for item in constraints if isinstance(item, Unit)), None)
    names = {
        NoneType: '"none"',
        SecretStr: "a secret, but not in a file",
        bool: "true or false",
        int: "a whole number",
        float: "a number",
    }
    phrase = names.get(annotation, "a text")
    if unit in ("duration", "milliseconds"):
        phrase = 'a duration ("500ms", "1s", "1h 30m", "7d")'
    if unit == "size":
        phrase = 'a size ("65536", "64 KiB", "1 MB")'
    return phrase + _limits(constraints, unit)


def _limits(constraints: tuple[Any, ...], unit: str | None) -> str:
    words = {"ge": "of at least", "gt": "above", "le": "of at most", "lt": "below"}
    limits: dict[str, str] = {}
    for item in constraints:
        for attribute, word in words.items():
            bound = getattr(item, attribute, None)
            if bound is not None and not isinstance(item, FieldInfo):
                limits[attribute] = f"{word} {_bound(bound)}"
        if getattr(item, "pattern", None):
            limits["pattern"] = f"matching {item.pattern}"
    if "ge" in limits and "le" in limits:
        low, high = limits.pop("ge").split()[-1], limits.pop("le").split()[-1]
        limits["range"] = f"from {low} to {high}"
    if unit is not None and limits.get("ge") == "of at least 1":
        del limits["ge"]  # "a size of at least 1" says nothing
    if unit is not None and limits.get("gt") == "above 0":
        limits["gt"] = "above zero"
    return " " + " and ".join(limits.values()) if limits else ""


def _bound(value: float) -> str:
    for power in (63, 10):
        if abs(value) == 2**power:
            return f"{'-' if value < 0 else ''}2^{power}"
    return f"{value:g}"


def _one_of(choices: tuple[str, ...]) -> str:
    quoted = [f'"{choice}"' for choice in choices]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"


def _members(annotation: Any) -> list[Any]:
    """The types of a union without their annotations; a plain type is a union of one."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _members(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return [member for part in get_args(annotation) for member in _members(part)]
    return [annotation]


def _annotations(annotation: Any) -> list[tuple[Any, ...]]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return [arguments[1:], *_annotations(arguments[0])]
    if origin in (Union, UnionType):
        return [found for part in arguments for found in _annotations(part)]
    return []
