"""Every metric, declared once: what is exported, the reference, the checks of dashboards and alerts come from it."""

from __future__ import annotations

from typing import Final

from tsds_stream.monitoring.catalogue.change import CHANGE, DRIFT
from tsds_stream.monitoring.catalogue.flow import FLOW
from tsds_stream.monitoring.catalogue.metric import PREFIX, Group, Json, Kind, Label, Labels, Metric
from tsds_stream.monitoring.catalogue.process import PROCESS, PUBLISHING
from tsds_stream.monitoring.catalogue.selection import INDEX, PLAN, SELECTION

GROUPS: Final = (PROCESS, FLOW, PUBLISHING, SELECTION, PLAN, INDEX, CHANGE, DRIFT)
METRICS: Final = tuple(metric for group in GROUPS for metric in group.metrics)

__all__ = ["GROUPS", "METRICS", "PREFIX", "Group", "Json", "Kind", "Label", "Labels", "Metric"]
