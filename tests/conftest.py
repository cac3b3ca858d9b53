"""What holds for all tests: fixtures that several folders use, and how hypothesis looks for counterexamples."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.kafka.fixtures"]

# How long an example takes says more of the machine than of what is tested.
settings.register_profile("tests", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")
