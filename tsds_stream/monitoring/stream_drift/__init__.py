"""Is the stream changing? A frozen baseline against two rolling windows, with thresholds that follow from the baseline.

Numbers only: documents come in as arrays, with the time; scores go out as JSON. Definitions are in `signals`, the
meaning of the thresholds is in `calibration`.
"""

from tsds_stream.monitoring.stream_drift.baseline import Baseline
from tsds_stream.monitoring.stream_drift.drift import StreamDrift
from tsds_stream.monitoring.stream_drift.grouping import group_targets, shortened
from tsds_stream.monitoring.stream_drift.options import DriftOptions
from tsds_stream.monitoring.stream_drift.reference import Reference
from tsds_stream.monitoring.stream_drift.saving import DriftFileError, Loaded, load, load_baseline, save

__all__ = [
    "Baseline",
    "DriftFileError",
    "DriftOptions",
    "Loaded",
    "Reference",
    "StreamDrift",
    "group_targets",
    "load",
    "load_baseline",
    "save",
    "shortened",
]
