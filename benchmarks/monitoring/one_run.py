"""One run of the engine in a process of its own: settings as JSON on stdin, what it took as JSON on stdout."""

from __future__ import annotations

import io
import json
import resource
import sys
from contextlib import nullcontext
from typing import Any

from benchmarks.measuring import timed
from tsds_stream.config import Settings
from tsds_stream.engine import Engine
from tsds_stream.logs import LineLog
from tsds_stream.monitoring.monitor import Monitor


def main() -> None:
    """Opening, loading and closing are not counted, nor is the processor time of what serves the metrics."""
    plan: dict[str, Any] = json.load(sys.stdin)
    settings = Settings.model_validate(plan["settings"])
    log = LineLog("warning", stream=io.StringIO())
    with Monitor(settings, log) if plan["watched"] else nullcontext() as monitor:
        engine = Engine.from_settings(settings, log=log, **({"observer": monitor} if monitor else {}))
        print("running", flush=True)
        timing, _ = timed(engine.run)
    served = resource.getrusage(resource.RUSAGE_CHILDREN)
    numbers = engine.statistics
    result = {
        "documents": numbers.documents_applied,
        "wall": timing.wall,
        "cpu": timing.cpu,
        "server_cpu": served.ru_utime + served.ru_stime,
        "revisions": {name: one.revision for name, one in numbers.sets.items()},
    }
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
