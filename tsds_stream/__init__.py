"""tsds-stream: the streaming form of TSDS data selection."""

__version__ = "0.1.0"
