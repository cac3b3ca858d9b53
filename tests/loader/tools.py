"""What tests need that use torch: it is an extra, and most computers that run the tests have none."""

from __future__ import annotations

import importlib
import os
from types import ModuleType

import pytest


def needed(name: str) -> ModuleType:
    """Import a module of the extra `loader`, or skip the tests of the module that asks; in CI's step for it, fail."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        if os.environ.get("TSDS_CI_TORCH") == "1":
            raise
        pytest.skip(f"{name} is not installed (pip install '.[loader,readers]')", allow_module_level=True)


# Of torch: that 4 workers are many for this computer. Of Python from 3.12 on: that torch has threads where it forks.
WORKERS_ARE_FINE = [
    pytest.mark.filterwarnings("ignore:This DataLoader will create .* worker processes:UserWarning"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]
