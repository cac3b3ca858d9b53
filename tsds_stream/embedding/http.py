"""Embeddings from a server: text-embeddings-inference, or whatever speaks the OpenAI embeddings interface."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from email.utils import parsedate_to_datetime
from hashlib import blake2b
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import numpy as np

from tsds_stream.embedding.base import Embedder, EmbedderError, EmbedderUnavailable, EmbedResult, Failure, Float32
from tsds_stream.embedding.batching import BYTES_PER_TOKEN, batches
from tsds_stream.embedding.breaker import CircuitBreaker
from tsds_stream.embedding.http_client import Answer, ConnectionFailed, JsonClient, Key
from tsds_stream.embedding.http_protocols import PATHS, BadAnswer, question, vectors_of
from tsds_stream.embedding.settings import HttpSettings
from tsds_stream.embedding.text import EMPTY, first_bytes, is_blank, valid_unicode
from tsds_stream.selection.arithmetic import MAX_DIMENSION

PROBE: Final = "An ordinary sentence."
_REFUSED: Final = frozenset({400, 413, 422})  # something about these texts
_TEMPORARY: Final = frozenset({408, 424, 425, 429})  # and every 5xx
_BYTES_PER_NUMBER: Final = 32  # in JSON, with room for white space
_OVERHEAD: Final = 65_536
_LONGEST_PAUSE: Final = 3600.0  # seconds; a server's word for more is not taken


class _Refused(Exception):  # noqa: N818 -- named for what happened
    """The server will not embed these texts."""


class HttpEmbedder(Embedder):
    """Asks a server, in batches, over one kept-alive connection.

    An outage costs a few attempts (exponential waits with full jitter, `Retry-After` honoured), then
    `EmbedderUnavailable` tells the caller when to come back; the texts of that call are to be given again. A request
    that is refused is cut in halves until the guilty texts stand alone: those are failures, the others get vectors.

    Args:
        settings: see `HttpSettings`.
        clock, sleep: seconds that only go forward, and waiting for some.
        uniform: a random number between two bounds.
        now: seconds since the epoch, for a `Retry-After` that is a date.
    """

    def __init__(
        self,
        settings: HttpSettings,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        uniform: Callable[[float, float], float] = random.uniform,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._sleep, self._uniform, self._now = sleep, uniform, now
        self._key = Key(settings.api_key_env, settings.api_key_file)
        self._key()  # a missing key is an error now, not at the first document
        self._client = JsonClient(_endpoint(settings), settings.timeout, self._key, clock)
        self.breaker = CircuitBreaker(settings.breaker_failures, settings.breaker_pause, clock)
        self._dimension = settings.dimension

    @property
    def dimension(self) -> int:
        """d, asked of the server when the settings do not tell; raises as `embed_all`."""
        if self._dimension is None:
            self._probe()
        if self._dimension is None:  # a probe that returns has told it
            raise EmbedderError("The embedding server did not tell the length of its vectors.")
        return self._dimension

    @property
    def fingerprint(self) -> str:
        """`http:<model>-<d>:` and a hash of protocol, model, prompt and truncation; without a model, of the URL."""
        s = self._settings
        name = s.model or _endpoint(s)
        options = repr((s.api, name, self.dimension, s.prompt, s.max_tokens)).encode()
        return f"http:{s.model or s.api}-{self.dimension}:{blake2b(options, digest_size=6).hexdigest()}"

    @property
    def batch_independent(self) -> bool:
        return False

    def embed_all(self, texts: Sequence[str]) -> EmbedResult:
        s = self._settings
        limit = s.max_tokens * BYTES_PER_TOKEN
        failures: dict[int, Failure] = {}
        positions: list[int] = []
        sent: list[str] = []
        for i, text in enumerate(texts):
            cut = first_bytes(valid_unicode(text[:limit]), limit)
            if is_blank(cut):
                failures[i] = EMPTY
            else:
                positions.append(i)
                sent.append(s.prompt + cut)
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for batch in batches(sent, s.batch_size, s.batch_tokens):
            found, refused = self._isolate(sent, batch)
            if len(refused) == len(batch):
                self._probe()  # every text refused: is it really the texts?
            for k in batch:
                if k in refused:
                    failures[positions[k]] = Failure("refused", f"The embedding server refused the text: {refused[k]}")
                elif not np.isfinite(found[k]).all():
                    failures[positions[k]] = Failure("non_finite", "The embedding server answered NaN or infinity.")
                elif not found[k].any():
                    failures[positions[k]] = Failure("zero", "The embedding server answered a zero vector.")
                else:
                    vectors[positions[k]] = found[k]
        return EmbedResult(vectors, failures)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _isolate(self, texts: Sequence[str], batch: range) -> tuple[dict[int, Float32], dict[int, str]]:
        """Vectors of the texts at `batch`, and what the server said about those that it refuses."""
        try:
            rows = self._ask([texts[k] for k in batch])
        except _Refused as refusal:
            if len(batch) == 1:
                return {}, {batch[0]: str(refusal)}
            middle = len(batch) // 2
            found, refused = self._isolate(texts, batch[:middle])
            more, again = self._isolate(texts, batch[middle:])
            return found | more, refused | again
        return dict(zip(batch, rows, strict=True)), {}

    def _probe(self) -> None:
        """Embed an ordinary sentence; raises `EmbedderError` when the server refuses even that."""
        try:
            self._ask([self._settings.prompt + PROBE])
        except _Refused as refusal:
            raise EmbedderError(
                f"The embedding server at {_shown(self._settings)} refuses every text: {refusal} "
                "Check embedder.url, embedder.api, embedder.model and embedder.prompt."
            ) from None

    def _ask(self, texts: list[str]) -> Float32:
        """One request with its attempts; (n, d) float32, entries perhaps not finite."""
        s = self._settings
        for attempt in range(s.retries + 1):
            if self.breaker.remaining > 0:
                raise EmbedderUnavailable(
                    f"The embedding server at {_shown(s)} keeps failing and is left alone for a while.",
                    self.breaker.remaining,
                )
            try:
                rows = self._attempt(texts)
            except _Refused:
                self.breaker.succeeded()
                raise
            except _Temporary as trouble:
                self.breaker.failed(trouble.retry_after)
                wait = max(trouble.retry_after, self._uniform(0.0, min(s.backoff_limit, s.backoff * 2.0**attempt)))
                if attempt == s.retries or wait > s.backoff_limit or self.breaker.remaining > 0:
                    raise EmbedderUnavailable(
                        f"The embedding server at {_shown(s)} does not work at the moment ({trouble}).",
                        max(wait, self.breaker.remaining),
                    ) from trouble
            else:
                self.breaker.succeeded()
                self._dimension = rows.shape[1]
                return rows
            self._sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    def _attempt(self, texts: list[str]) -> Float32:
        s = self._settings
        limit = len(texts) * (self._dimension or MAX_DIMENSION) * _BYTES_PER_NUMBER + _OVERHEAD
        try:
            answer = self._client.post(question(s.api, s.model, texts), limit)
        except ConnectionFailed as error:
            raise _Temporary(str(error)) from error
        if answer.status == 200:
            try:
                return vectors_of(s.api, answer.body, len(texts), self._dimension)
            except BadAnswer as error:
                raise _Temporary(str(error)) from error
        said = f"status {answer.status}{self._excerpt(answer)}."
        if answer.status in _TEMPORARY or answer.status >= 500:
            raise _Temporary(said, _seconds(answer.retry_after, self._now))
        if answer.status in _REFUSED:
            raise _Refused(said)
        advice = {401: "check the key", 403: "check the key", 404: "check embedder.url and embedder.model"}
        raise EmbedderError(
            f"The embedding server at {_shown(s)} does not take our requests "
            f"({advice.get(answer.status, 'check embedder.url and embedder.api')}): {said}"
        )

    def _excerpt(self, answer: Answer) -> str:
        """The beginning of what the server said, fit for a log line, without the key if it was echoed."""
        text = answer.body[:4096].decode(errors="replace")
        key = self._key()
        if key is not None:
            text = text.replace(key, "***")
        text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return f", {text[:200]}" if text else ""


class _Temporary(Exception):  # noqa: N818 -- named for what happened
    """Another attempt may fare better, after `retry_after` seconds at the earliest."""

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


def _endpoint(settings: HttpSettings) -> str:
    parts = urlsplit(settings.url)
    path = parts.path if parts.path not in ("", "/") else PATHS[settings.api]
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def _shown(settings: HttpSettings) -> str:
    """The address for messages: without its query, which may hold a secret."""
    return _endpoint(settings).partition("?")[0]


def _seconds(header: str | None, now: Callable[[], float]) -> float:
    """The seconds, at most an hour, that `Retry-After` (a number, or a date) asks for; 0 when it cannot be read."""
    if header is None:
        return 0.0
    try:
        seconds = float(header) if header.strip().isdecimal() else parsedate_to_datetime(header).timestamp() - now()
    except (ValueError, OverflowError):
        return 0.0
    return min(max(0.0, seconds), _LONGEST_PAUSE)
