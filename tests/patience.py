"""How long tests wait for what must come.

The bound is there for what never comes. It costs nothing where all is well, so it is one that a machine with a quarter
of the speed, which runs other tests besides, keeps as well. What a test says about time it says by a clock of its own
or with bounds that are far apart.
"""

from __future__ import annotations

from typing import Final

PATIENCE: Final = 180.0  # seconds
