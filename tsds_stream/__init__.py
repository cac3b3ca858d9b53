"""tsds-stream: the streaming form of TSDS data selection."""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from tsds_stream.batch import select as select
    from tsds_stream.selection.explain import Explanation as Explanation
    from tsds_stream.selection.revision import AddReport as AddReport
    from tsds_stream.selection.revision import Notice as Notice
    from tsds_stream.selection.revision import RemoveReport as RemoveReport
    from tsds_stream.selection.revision import Revision as Revision
    from tsds_stream.selection.selector import Selector as Selector
    from tsds_stream.selection.settings import SelectorConfig as SelectorConfig

_HOME = {
    "select": "tsds_stream.batch",
    "Explanation": "tsds_stream.selection.explain",
    "AddReport": "tsds_stream.selection.revision",
    "Notice": "tsds_stream.selection.revision",
    "RemoveReport": "tsds_stream.selection.revision",
    "Revision": "tsds_stream.selection.revision",
    "Selector": "tsds_stream.selection.selector",
    "SelectorConfig": "tsds_stream.selection.settings",
}
__all__ = ["AddReport", "Explanation", "Notice", "RemoveReport", "Revision", "Selector", "SelectorConfig", "select"]


def __getattr__(name: str) -> object:
    """Public names load what they need when first used, so that the command line answers at once."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value
