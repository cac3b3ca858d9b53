"""`tsds-stream run --config FILE`, but an approximate index is measured every second, not every minute."""

from __future__ import annotations

import sys
from pathlib import Path

from tsds_stream.config import load_settings
from tsds_stream.engine import Engine, Options
from tsds_stream.logs import LineLog
from tsds_stream.monitoring.monitor import Monitor


def main(config: Path) -> int:
    settings, log = load_settings(config), LineLog()
    with Monitor(settings, log) as monitor:
        options = Options(recall_interval=1.0)
        return Engine.from_settings(settings, log=log, observer=monitor, options=options).run()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[3])))
