"""Does drift alarm when it should, and only then? `python -m benchmarks.drift [--quick]`."""
