"""Is the selection changing, and does it still fit the target?

`Journal` takes note of what happens in the engine's thread; `SelectionWatch` makes of it, in another thread, what the
status document says; `save` and `load` keep what it has learnt.
"""

from tsds_stream.monitoring.selection_watch.notice import Examples, Journal, Notice
from tsds_stream.monitoring.selection_watch.saving import load, save
from tsds_stream.monitoring.selection_watch.watch import SelectionWatch

__all__ = ["Examples", "Journal", "Notice", "SelectionWatch", "load", "save"]
