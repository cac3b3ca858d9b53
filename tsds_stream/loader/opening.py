"""From the URL of a selection to the place where it is read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tsds_stream.loader.errors import RevisionError
from tsds_stream.loader.places import DirectoryPlace, Place


def place_of(
    url: str | Path, target_set: str, cache: Path | None, options: Mapping[str, Any] | None, timeout: float
) -> Place:
    """Where the revisions of a target set are read: see `Revisions.open`.

    Raises:
        RevisionError: the URL is of no known kind, or a package is missing that it needs.
    """
    text = str(url)
    scheme, colon, _ = text.partition("://")
    if scheme == "kafka" and colon:
        if cache is None:
            raise RevisionError(f"{text} is read through a copy on this computer: say where with cache=DIR.")
        from tsds_stream.loader.topics import Address, TopicPlace

        return TopicPlace(Address.of(text), target_set, cache, options, timeout)
    if cache is None and (isinstance(url, Path) or not colon):
        return DirectoryPlace(Path(url), target_set)
    if cache is None and scheme == "file":
        return DirectoryPlace(Path(unquote(urlsplit(text).path)), target_set)
    from tsds_stream.loader.remote import RemotePlace

    return RemotePlace(text, target_set, cache, options)
