"""The source that the settings ask for."""

from __future__ import annotations

from pathlib import Path

from tsds_stream.codecs import Decoder, Needs
from tsds_stream.durable import Disk
from tsds_stream.streams.base import Source
from tsds_stream.streams.clocks import wall_clock
from tsds_stream.streams.files import FileSource
from tsds_stream.streams.settings import FileSourceSettings
from tsds_stream.streams.stdin import NAME, StandardInput


def open_source(
    settings: FileSourceSettings,
    state: Path | None,
    *,
    dimension: int | None = None,
    needs: Needs = "either",
    disk: Disk | None = None,
) -> Source:
    """The source of documents that `settings` name.

    Args:
        state: the state directory, where the journal of finished files is kept; None: nothing survives the process.
        dimension: of the embeddings that records may bring; needs: what every record must bring.
        disk: where a test injects faults.

    Raises:
        SourceError: the files are not there.
    """
    decoder = Decoder(dimension=dimension, needs=needs, max_future=settings.max_future, clock=wall_clock)
    if settings.path == NAME:
        return StandardInput(settings, decoder)
    return FileSource(settings, decoder, state, disk=disk)
