"""From the URL of a selection to the place where it is read."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from tsds_stream.loader.errors import RevisionError
from tsds_stream.loader.places import DirectoryPlace, Place


def place_of(url: str | Path, target_set: str) -> Place:
    """Where the revisions of a target set are read.

    Raises:
        RevisionError: the URL is of no known kind.
    """
    text = str(url)
    scheme, colon, _ = text.partition("://")
    if isinstance(url, Path) or not colon:
        return DirectoryPlace(Path(url), target_set)
    if scheme == "file":
        return DirectoryPlace(Path(unquote(urlsplit(text).path)), target_set)
    raise RevisionError(f"{text}: selections are read from directories")
