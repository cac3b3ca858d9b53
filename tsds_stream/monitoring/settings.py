"""What is watched, and where it can be looked at."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr, field_validator

from tsds_stream.configuration.table import Table
from tsds_stream.units import Size


def _address(listen: str) -> str:
    found = re.fullmatch(r"(?:\[[0-9A-Fa-f:.]+\]|[^\s:@/\[\]]+):(\d{1,5})", listen)
    if found is None or int(found[1]) > 65535:
        raise ValueError('expected "host:port", for example "127.0.0.1:9464"; port 0 takes any that is free')
    return listen


class DriftSettings(Table):
    """Whether the stream is changing: a frozen baseline against two rolling windows, in documents looked at."""

    enabled: bool = Field(True, description="look for drift of the stream and of the selection")
    rate: float = Field(
        500.0, gt=0, description="documents per second that are looked at, at most; evenly spread over what arrives"
    )
    warmup: int = Field(1000, ge=0, description="documents looked at before the baseline begins")
    baseline: int = Field(5000, ge=100, description="documents of the baseline, which is frozen then")
    short_window: int = Field(500, ge=20, description="documents of the window that notices sudden changes")
    long_window: int = Field(5000, ge=20, description="documents of the window that notices small changes")
    false_alarm_rate: float = Field(
        0.01,
        gt=0,
        lt=0.5,
        description="probability that any signal raises an alarm within the next ten long windows of documents of a "
        "stream that does not change; the thresholds follow from it and the baseline",
    )
    baseline_file: Path | None = Field(
        None, description="compare with the baseline of another run: its file state/monitoring/drift.npz"
    )
    coverage_distance: Annotated[float, Field(gt=0)] | None = Field(
        None,
        description="a target is covered when a selected document lies within this distance; none: taken from the "
        "first full selection",
    )

    @field_validator("long_window")
    @classmethod
    def _is_longer(cls, long_window: int, others: object) -> int:
        short = getattr(others, "data", {}).get("short_window", 0)
        if long_window < short:
            raise ValueError(f"must be at least short_window ({short})")
        return long_window


class MonitoringSettings(Table):
    """A status page, metrics for Prometheus and health checks on one port; needs the extra `monitoring`."""

    listen: Annotated[str, AfterValidator(_address)] | None = Field(
        None, description='address of the status page and the metrics, "127.0.0.1:9464" by custom; none: no port'
    )
    token: Annotated[SecretStr, Field(min_length=16)] | None = Field(
        None, description="bearer token for those who are not on this machine; better from the environment or a file"
    )
    token_file: Path | None = Field(None, description="file that holds the bearer token")
    memory_limit: Annotated[Size, Field(ge=1)] | None = Field(
        None, description="memory that the process may use, for warnings; none: what the container or the machine has"
    )
    drift: DriftSettings = Field(default_factory=DriftSettings)

    @field_validator("token_file")
    @classmethod
    def _one_token(cls, token_file: Path | None, others: object) -> Path | None:
        if token_file is not None and getattr(others, "data", {}).get("token") is not None:
            raise ValueError("give token or token_file, not both")
        return token_file
