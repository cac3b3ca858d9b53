"""The engine: it reads a stream, keeps a selector per target set, publishes revisions and survives whatever ends it."""

from tsds_stream.engine.engine import Engine
from tsds_stream.engine.options import Options
from tsds_stream.engine.statistics import Progress, SetStatistics, Statistics

__all__ = ["Engine", "Options", "Progress", "SetStatistics", "Statistics"]
