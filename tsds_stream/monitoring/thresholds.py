"""Where trouble begins: the numbers that the judgement of a run and the alerting rules for Prometheus share."""

from __future__ import annotations

from typing import Final

LOOP_STALLED: Final = 60.0  # seconds since the last turn of the main loop
# Before a probe has the process restarted: longer than a transaction waits for a broker, which the process itself ends.
LOOP_DEAD: Final = 180.0  # seconds since the last turn of the main loop
STARTING_STALLED: Final = 600.0  # the same while models are loaded and topics read back
STATUS_SILENT: Final = 15.0  # seconds since the last status document of a process that has not said goodbye
HEARTBEAT_STALE: Final = 120.0  # seconds since publication was last in effect, however quiet the stream
CHECKPOINT_STALE: Final = 600.0  # seconds since the last checkpoint, while documents are read
CHECKPOINT_STALE_INTERVALS: Final = 10.0  # or so many checkpoint intervals, where that is longer
LAG_HIGH: Final = 300.0  # seconds that the stream is behind
LAG_WINDOW: Final = 600.0  # seconds over which a lag must have grown
SOURCE_SILENT: Final = 300.0  # seconds in which nothing was read although records wait
EMBEDDER_OUT: Final = 60.0  # seconds that the embedder does not answer
DEAD_LETTERS_SHARE: Final = 0.01  # of the records read
DEAD_LETTERS_WINDOW: Final = 900.0  # seconds of which that share is taken
DEAD_LETTERS_LEAST: Final = 10  # fewer say nothing
RECALL_LOW: Final = 0.95  # of the index against exact search
MEMORY_HIGH: Final = 0.9  # of the memory that the process may use
UNCOVERED_SHARE: Final = 0.05  # of the targets without a selected document nearby: some examples are always odd
DRIFT_SCORE: Final = 1.0  # statistic / threshold
