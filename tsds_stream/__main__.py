"""`python -m tsds_stream`: the same as the command `tsds-stream`."""

from __future__ import annotations

import sys

from tsds_stream.cli import main

if __name__ == "__main__":
    sys.exit(main())
