"""How texts become vectors: the [embedder] section."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class StaticSettings(BaseModel):
    """Static word vectors, packaged with wordllama: no download, no torch."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    kind: Literal["static"] = Field("static", description="how texts become vectors")


class PrecomputedSettings(BaseModel):
    """Every record carries its embedding."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    kind: Literal["precomputed"] = Field("precomputed", description="how texts become vectors")
    dimension: Annotated[int, Field(ge=1, le=16384)] = Field(description="length of the vectors")


EmbedderSettings = Annotated[StaticSettings | PrecomputedSettings, Field(discriminator="kind")]
