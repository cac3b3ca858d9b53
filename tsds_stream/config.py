"""The settings tree: every option of the program, its type, default and meaning. All else is generated from it.

Three layers, later ones win: one TOML file, the environment (`TSDS_STREAM_SOURCE__PATH=…`), the command line.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import InitErrorDetails

from tsds_stream.configuration.errors import ConfigurationError, problems_of
from tsds_stream.configuration.layers import Layers, Override
from tsds_stream.configuration.options import sections_of
from tsds_stream.configuration.table import Table
from tsds_stream.embedding.settings import EmbedderSettings, StaticSettings
from tsds_stream.logs import Level, LogFormat
from tsds_stream.monitoring.settings import MonitoringSettings
from tsds_stream.selection.settings import SelectorConfig
from tsds_stream.streams.kafka.contradictions import contradictions
from tsds_stream.streams.kafka.settings import KafkaSettings
from tsds_stream.streams.settings import DirectorySinkSettings, FileSourceSettings, SinkSettings, SourceSettings
from tsds_stream.units import Seconds


class TargetSet(SelectorConfig):
    """A task: its examples and how its documents are selected. Several sets share one pass over the documents."""

    name: str = Field(
        "default",
        pattern=r"^\.*[A-Za-z0-9_-][A-Za-z0-9_.-]*$",
        max_length=200,
        description="name of the set; part of every record",
    )
    targets: str | None = Field(
        None,
        min_length=1,
        description="file or directory of target examples; not needed where they come from a topic, [kafka.topics] "
        "targets",
    )

    def selector_config(self) -> SelectorConfig:
        """The part that the numerical core takes."""
        return SelectorConfig.model_validate(self.model_dump(include=set(SelectorConfig.model_fields)))


class PublishSettings(Table):
    """When a new revision is made, and what is sent again."""

    interval: Annotated[Seconds, Field(gt=0)] = Field(
        1.0, description="at most one revision in this time; fewer while documents wait and revisions take long"
    )
    weight_change: float = Field(
        0.05, ge=0, description="send a document again when its p or weight has moved by more than this share"
    )


class StateSettings(Table):
    """What survives a restart."""

    directory: str = Field("state/", min_length=1, description="folder of checkpoints and of the candidates' texts")
    checkpoint_interval: Annotated[Seconds, Field(gt=0)] = Field(30.0, description="time between two checkpoints")


class LoggingSettings(Table):
    """What is written to stderr when no terminal is attached."""

    level: Level = Field("info", description="the least important level that is written")
    format: LogFormat = Field("text", description="text: key=value; json: one object per line")


class Settings(Table):
    """The whole configuration. Build it with `load_settings`, which collects all errors.

    A check of several sections belongs to the last of them: it sees those above it that are sound."""

    source: SourceSettings = Field(default_factory=FileSourceSettings, description="Where documents are read from.")
    sink: SinkSettings = Field(default_factory=DirectorySinkSettings, description="Where revisions are published.")
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    embedder: EmbedderSettings = Field(default_factory=StaticSettings, description="How texts become vectors.")
    target_sets: list[TargetSet] = Field(min_length=1)
    publish: PublishSettings = Field(default_factory=PublishSettings)
    state: StateSettings = Field(default_factory=StateSettings)
    monitoring: MonitoringSettings = Field(default_factory=MonitoringSettings)
    logging: LoggingSettings = Field(default_factory=LoggingSettings)

    @property
    def uses_kafka(self) -> bool:
        """Whether anything is read from or written to topics."""
        from_topic = any(target_set.targets is None for target_set in self.target_sets)
        return from_topic or "kafka" in (self.source.kind, self.sink.kind)

    @field_validator("sink")
    @classmethod
    def _can_refer(cls, sink: SinkSettings, others: ValidationInfo) -> SinkSettings:
        source = others.data.get("source")
        if source and sink.kind == "kafka" and sink.payload == "reference" and source.kind != "kafka":
            raise ValueError('payload = "reference" needs [source] kind = "kafka": only topics can be referred to')
        return sink

    @field_validator("kafka")
    @classmethod
    def _agrees_where_it_is_used(cls, kafka: KafkaSettings, others: ValidationInfo) -> KafkaSettings:
        ends = [others.data[end].kind for end in ("source", "sink") if end in others.data]
        if ("kafka" in ends or kafka.topics.targets is not None) and (problems := contradictions(kafka)):
            raise ValueError("; ".join(problems))
        return kafka

    @field_validator("target_sets")
    @classmethod
    def _names_differ(cls, target_sets: list[TargetSet]) -> list[TargetSet]:
        names = [target_set.name for target_set in target_sets]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"each needs a name of its own, and {', '.join(twice)} is used twice")
        return target_sets

    @field_validator("target_sets")
    @classmethod
    def _targets_come_from_somewhere(cls, target_sets: list[TargetSet], others: ValidationInfo) -> list[TargetSet]:
        kafka = others.data.get("kafka")
        missing = [
            InitErrorDetails(type="missing", loc=(number, "targets"), input=None)
            for number, target_set in enumerate(target_sets)
            if target_set.targets is None and kafka is not None and kafka.topics.targets is None
        ]
        if missing:
            raise ValidationError.from_exception_data("target_sets", missing)
        return target_sets


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
