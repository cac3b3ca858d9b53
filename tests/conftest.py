"""Fixtures that tests of several folders use."""

from __future__ import annotations

pytest_plugins = ["tests.kafka.fixtures"]
