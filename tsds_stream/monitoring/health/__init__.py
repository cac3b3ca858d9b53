"""Whether a run is healthy: a pure function of its status document and of the time."""

from tsds_stream.monitoring.health.judge import judge
from tsds_stream.monitoring.health.stored import judge_stored, starting
from tsds_stream.monitoring.health.verdict import Health, Severity, State, Warning

__all__ = ["Health", "Severity", "State", "Warning", "judge", "judge_stored", "starting"]
