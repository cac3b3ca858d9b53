"""Watching a run: numbers, drift, a status page, and what Prometheus reads."""
