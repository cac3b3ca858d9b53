"""A real browser, and the real server with documents of our choice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.kafka.fixtures import refuse
from tests.monitoring.page import axe
from tests.monitoring.page.chromium import Chromium, chromium, installed
from tests.monitoring.page.pages import Pages


@pytest.fixture(scope="session")
def browser() -> Iterator[Chromium]:
    """One browser for all tests of a process; tabs know nothing of each other."""
    path = installed()
    if path is None:
        refuse("Chromium is not installed, which this test looks at the status page with (Debian: chromium)")
    with chromium(path) as one:
        yield one


@pytest.fixture(scope="session")
def axe_script() -> str:
    """axe-core, which looks for what keeps people from using a page."""
    missing = axe.missing()
    if missing is not None:
        refuse(missing)
    return axe.script()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Pages]]:
    """`serve(document)`: a server on a free port that has this document."""
    with ExitStack() as stack:

        def start(document: object) -> Pages:
            pages = stack.enter_context(Pages(tmp_path / "state"))
            pages.show(document)
            return pages

        yield start
