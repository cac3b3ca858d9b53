"""Shows a live view of what it is told on a pipe, one JSON object per line, at a time that it is told too."""

from __future__ import annotations

import json
import os
import sys

from tests.monitoring import samples
from tsds_stream.engine.statistics import Statistics
from tsds_stream.logs import LineLog
from tsds_stream.monitoring.live import LiveView


def main(pipe: int, total: int | None) -> None:
    now = [samples.NOW]
    statistics, log = Statistics(), LineLog("warning")
    with LiveView(total, clock=lambda: now[0]) as view, os.fdopen(pipe) as told:
        for line in told:
            order = json.loads(line)
            now[0] += order.get("milliseconds", 0)
            if "sample" in order:
                view.shown(getattr(samples, order["sample"])())
            if "bytes" in order:
                statistics.bytes_read, statistics.documents_applied = order["bytes"], order["documents"]
                view.progress(statistics)
            if "log" in order:
                log.warning(order["log"])
    print("the last line", file=sys.stderr)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None)
