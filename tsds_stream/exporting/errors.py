"""What can keep an export from being made or from being right."""

from __future__ import annotations


class ExportError(Exception):
    """An export cannot be made, or is not what was written; the message says what to do."""
