"""Exports: a revision, or the difference between two, as files that other programs read."""
