"""The settings tree: every option of the program, its type, default and meaning. All else is generated from it.

Three layers, later ones win: one TOML file, the environment (`TSDS_STREAM_SOURCE__PATH=…`), the command line.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tsds_stream.configuration.errors import ConfigurationError, problems_of
from tsds_stream.configuration.layers import Layers, Override
from tsds_stream.configuration.options import sections_of
from tsds_stream.embedding.settings import EmbedderSettings, StaticSettings
from tsds_stream.logs import Level, LogFormat
from tsds_stream.selection.settings import SelectorConfig
from tsds_stream.streams.settings import FileSourceSettings
from tsds_stream.units import Seconds


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


class TargetSet(SelectorConfig):
    """A task: its examples and how its documents are selected. Several sets share one pass over the documents."""

    name: str = Field(
        "default",
        pattern=r"^\.*[A-Za-z0-9_-][A-Za-z0-9_.-]*$",
        max_length=200,
        description="name of the set; part of every record",
    )
    targets: str = Field(min_length=1, description="file or directory of target examples")

    def selector_config(self) -> SelectorConfig:
        """The part that the numerical core takes."""
        return SelectorConfig.model_validate(self.model_dump(include=set(SelectorConfig.model_fields)))


class SinkSettings(_Section):
    """Where revisions are published."""

    kind: Literal["directory"] = Field("directory", description="directory: numbered snapshots in a folder")
    path: str = Field("selection/", min_length=1, description="folder of the published revisions")
    keep_revisions: int = Field(100, ge=1, description="revisions kept on disk; older ones are deleted")
    jsonl: bool = Field(False, description="also write the whole selection to selection.jsonl at each revision")


class PublishSettings(_Section):
    """When a new revision is made, and what is sent again."""

    interval: Annotated[Seconds, Field(gt=0)] = Field(
        1.0, description="at most one revision in this time; fewer while documents wait and revisions take long"
    )
    weight_change: float = Field(
        0.05, ge=0, description="send a document again when its p or weight has moved by more than this share"
    )


class StateSettings(_Section):
    """What survives a restart."""

    directory: str = Field("state/", min_length=1, description="folder of checkpoints and of the candidates' texts")
    checkpoint_interval: Annotated[Seconds, Field(gt=0)] = Field(30.0, description="time between two checkpoints")


class LoggingSettings(_Section):
    """What is written to stderr when no terminal is attached."""

    level: Level = Field("info", description="the least important level that is written")
    format: LogFormat = Field("text", description="text: key=value; json: one object per line")


class Settings(_Section):
    """The whole configuration. Build it with `load_settings`, which collects all errors."""

    source: FileSourceSettings = Field(default_factory=FileSourceSettings)
    embedder: EmbedderSettings = Field(default_factory=StaticSettings, description="How texts become vectors.")
    target_sets: list[TargetSet] = Field(min_length=1)
    sink: SinkSettings = Field(default_factory=SinkSettings)
    publish: PublishSettings = Field(default_factory=PublishSettings)
    state: StateSettings = Field(default_factory=StateSettings)
    logging: LoggingSettings = Field(default_factory=LoggingSettings)

    @model_validator(mode="after")
    def _names_differ(self) -> Settings:
        names = [target_set.name for target_set in self.target_sets]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"target_sets: each needs a name of its own, and {', '.join(twice)} is used twice")
        return self


SECTIONS = sections_of(Settings)


def load_settings(
    file: Path | None = None,
    overrides: Sequence[Override] = (),
    environment: Mapping[str, str] = os.environ,
    names: Mapping[tuple[str, str], str] | None = None,
) -> Settings:
    """The settings that file, environment and `overrides` (of the command line) give together.

    Args:
        names: what options are called on the command line, for the message that one is missing where there is no file.

    Raises `ConfigurationError` with every problem that can be known at once.
    """
    layers = Layers(SECTIONS, {} if file is not None else names or {})
    if file is not None:
        layers.add_file(file)
    layers.add_environment(environment)
    layers.add_overrides(overrides)
    tree = layers.tree()
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        raise ConfigurationError(layers.problems + problems_of(error, tree, layers, Settings)) from None
    if layers.problems:
        raise ConfigurationError(layers.problems)
    return settings


def load_without_targets(file: Path | None, overrides: Sequence[Override]) -> Settings:
    """For commands that ask questions of a state: as `load_settings`, but nobody has to name the targets again."""
    stand_in = [] if file is not None else [Override("target_sets", "targets", "in the state", "--targets")]
    return load_settings(file, [*stand_in, *overrides])
