"""From texts to tokens, in the worker that reads the documents, with whatever tokenizer there is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, cast, overload

import numpy as np
from numpy.typing import NDArray

from tsds_stream.loader.reading import LoaderError
from tsds_stream.records import Json

INPUT_IDS: Final = "input_ids"


class Tokenizer(Protocol):
    """Such as one of `tokenizers`, `transformers` or `tiktoken`: it gives a list of ids, or what has them as `ids`."""

    def encode(self, text: str, /) -> Any: ...


Encode = Callable[[str], Any]


class Tokenized:
    """Adds `input_ids`, (n,) int32, to documents that have none. Can be pickled if the tokenizer can.

    Special tokens are what `tokenizer.encode(text)` makes of them: with `transformers`, give
    `functools.partial(tokenizer.encode, add_special_tokens=False)` to have none.

    Args:
        tokenizer: with `encode`, or a callable from a text to its token ids.
        field: of the text.

    Raises:
        TypeError: it is neither.
    """

    def __init__(self, tokenizer: Tokenizer | Encode, field: str = "text") -> None:
        encode: Any = getattr(tokenizer, "encode", tokenizer)
        if not callable(encode) or isinstance(tokenizer, str):
            raise TypeError(f"a tokenizer has encode, or is a callable; a {type(tokenizer).__name__} is not")
        # Not the bound method: those of some tokenizers cannot be pickled, while the tokenizers can.
        self._tokenizer, self._field = tokenizer, field

    @overload
    def __call__(self, document: Json) -> Json: ...
    @overload
    def __call__(self, document: list[Json]) -> list[Json]: ...
    def __call__(self, document: Json | list[Json]) -> Json | list[Json]:
        """A document, or each of a list, with its tokens.

        Raises:
            LoaderError: a document has no text, or the tokenizer fails on it.
        """
        if isinstance(document, list):
            return [self(one) for one in document]
        found = document.get(INPUT_IDS)
        tokens = self.encode(document) if found is None else _as_tokens(found)
        return {**document, INPUT_IDS: tokens}

    def encode(self, document: Json) -> NDArray[np.int32]:
        """(n,) int32 tokens of the text of a document."""
        text = document.get(self._field)
        if not isinstance(text, str):
            what = "has no" if text is None else f"has a {type(text).__name__} as"
            raise LoaderError(f"Document {document.get('id')!r} {what} {self._field!r}, which is to be tokenized.")
        encode: Any = getattr(self._tokenizer, "encode", self._tokenizer)
        try:
            return _as_tokens(encode(text))
        except Exception as error:
            raise LoaderError(
                f"The tokenizer failed on document {document.get('id')!r}: {type(error).__name__}: {error}. Its text "
                f"begins with {text[:60]!r}."
            ) from error


def _as_tokens(encoded: Any) -> NDArray[np.int32]:
    if isinstance(encoded, Mapping):
        encoded = encoded[INPUT_IDS]
    ids = getattr(encoded, "ids", encoded)
    tokens = np.asarray(ids)
    if tokens.ndim != 1 or (len(tokens) and tokens.dtype.kind not in "iu"):
        raise TypeError(f"encode gives a list of whole numbers, not {type(encoded).__name__} of {tokens.dtype}")
    return tokens.astype(np.int32)


class Measure:
    """The tokens of a document, as the shares of a mixture count them.

    Args:
        count: a field of the document that holds their number, or a tokenizer, or a callable from a document to the
            number. None: the `input_ids` of the document.
    """

    def __init__(self, count: str | Tokenizer | Callable[[Json], int] | None) -> None:
        self._count: Any = count
        if hasattr(count, "encode") and not isinstance(count, str):
            self._count = Tokenized(cast(Tokenizer, count))

    def __call__(self, document: Json) -> int:
        """Raises `LoaderError` where it cannot be told."""
        count, name = self._count, repr(document.get("id"))
        if isinstance(count, Tokenized):
            return len(count.encode(document))
        if count is None or isinstance(count, str):
            found = document.get(INPUT_IDS if count is None else count)
            if count is None and found is not None:
                found = len(found)
            if found is None:
                raise LoaderError(
                    f"Document {name} has no {count or INPUT_IDS!r}, and the shares are of tokens: give count= a field "
                    "that the documents of all sources have, a tokenizer, or a function."
                )
        else:
            try:
                found = count(document)
            except Exception as error:
                raise LoaderError(f"count failed on document {name}: {type(error).__name__}: {error}.") from error
        if isinstance(found, bool) or not isinstance(found, int | np.integer) or found < 0:
            raise LoaderError(f"The tokens of document {name} are a whole number from 0 on, not {found!r}.")
        return int(found)
