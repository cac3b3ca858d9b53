"""Training from a selection: reading revisions, and serving their documents in a reproducible order.

The public names are imported when they are asked for: reading needs no torch, serving does (the extra "loader").
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tsds_stream.loader.dataset import SelectedDataset as SelectedDataset
    from tsds_stream.loader.loader import SelectedLoader as SelectedLoader
    from tsds_stream.loader.mixture import Mixture as Mixture
    from tsds_stream.loader.packed import Packed as Packed
    from tsds_stream.loader.reading import LoaderError as LoaderError
    from tsds_stream.loader.revisions import Revision as Revision
    from tsds_stream.loader.revisions import Revisions as Revisions
    from tsds_stream.loader.served_reader import ServedReader as ServedReader
    from tsds_stream.loader.served_writer import ServedWriter as ServedWriter
    from tsds_stream.loader.tokenizing import Tokenized as Tokenized

_HOMES = {
    "LoaderError": "reading",
    "Mixture": "mixture",
    "Packed": "packed",
    "Revision": "revisions",
    "Revisions": "revisions",
    "SelectedDataset": "dataset",
    "SelectedLoader": "loader",
    "ServedReader": "served_reader",
    "ServedWriter": "served_writer",
    "Tokenized": "tokenizing",
}

__all__ = [
    "LoaderError",
    "Mixture",
    "Packed",
    "Revision",
    "Revisions",
    "SelectedDataset",
    "SelectedLoader",
    "ServedReader",
    "ServedWriter",
    "Tokenized",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "torch":
            raise
        raise ImportError(f"{name} needs torch: pip install 'tsds-stream[loader]'") from error
