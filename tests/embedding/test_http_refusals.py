"""The HTTP embedder and answers that are final: refused texts, wrong keys, unusable vectors, secrets."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from tests.embedding import servers
from tests.embedding.conftest import KEY, Make, World, expected
from tests.embedding.servers import EmbeddingServer, answers, refuses, says, status, vector_of
from tsds_stream.embedding import EmbedderError, EmbedderUnavailable
from tsds_stream.embedding.breaker import State

# Texts and requests that the server will not have


@pytest.mark.parametrize("code", [400, 413, 422])
def test_a_poisoned_text_is_found_and_the_others_get_their_vectors(
    code: int, server: EmbeddingServer, make: Make, world: World
) -> None:
    server.otherwise = refuses("poison", "venom", code=code)
    texts = [f"text {i}" for i in range(30)]
    texts[3], texts[17] = "some poison", "venom"
    result = make(batch_size=16).embed_all(texts)
    assert sorted(result.failures) == [3, 17]
    assert result.failures[3].reason == "refused"
    assert "Input validation error" in result.failures[3].detail
    healthy = [i for i in range(30) if i not in (3, 17)]
    assert np.array_equal(result.vectors[healthy], expected([texts[i] for i in healthy]))
    assert world.slept == []
    assert len(server.requests) <= 2 * (1 + 2 * 4)


def test_a_refused_text_does_not_trip_the_breaker(server: EmbeddingServer, make: Make) -> None:
    server.otherwise = refuses("poison")
    embedder = make(breaker_failures=1)
    assert embedder.embed_all(["poison"]).failures.keys() == {0}
    assert embedder.breaker.state is State.CLOSED


def test_a_server_that_refuses_everything_is_misconfigured_and_no_text_is_to_blame(
    server: EmbeddingServer, make: Make
) -> None:
    server.otherwise = status(400, b'{"error": "unknown model m"}')
    with pytest.raises(EmbedderError, match=r"refuses every text.*unknown model m.*embedder\.model") as error:
        make().embed_all(["a", "b"])
    assert not isinstance(error.value, EmbedderUnavailable)


@pytest.mark.parametrize(("code", "advice"), [(401, "key"), (403, "key"), (404, "url"), (301, "url"), (405, "api")])
def test_a_wrong_address_or_key_is_an_error_with_advice(
    code: int, advice: str, server: EmbeddingServer, make: Make
) -> None:
    server.otherwise = status(code, b"no")
    with pytest.raises(EmbedderError, match=f"check .*{advice}") as error:
        make().embed_all(["a"])
    assert not isinstance(error.value, EmbedderUnavailable)
    assert len(server.requests) == 1


def test_vectors_of_another_length_are_an_error(server: EmbeddingServer, make: Make) -> None:
    with pytest.raises(EmbedderError, match="8 numbers per text where 9 are expected"):
        make(dimension=9).embed(["a"])
    embedder = make(dimension=None)
    embedder.embed(["a"])
    server.script = [answers(lambda texts: [[1.0, 2.0] for _ in texts])]
    with pytest.raises(EmbedderError, match="2 numbers per text where 8 are expected"):
        embedder.embed(["a"])


@pytest.mark.parametrize("bad", [b"NaN", b"null", b"1e39", b"-Infinity", b"1e999"])
def test_a_vector_that_is_not_finite_is_the_failure_of_its_text(
    bad: bytes, server: EmbeddingServer, make: Make
) -> None:
    row = b"[1,2,3,4,5,6,7,8]"
    server.script = [says(b"[" + row + b"," + row.replace(b"4", bad) + b"," + row + b"]")]
    result = make().embed_all(["a", "b", "c"])
    assert result.failures.keys() == {1}
    assert result.failures[1].reason == "non_finite"
    assert not result.vectors[1].any()
    assert result.vectors[[0, 2]].tolist() == [[1, 2, 3, 4, 5, 6, 7, 8]] * 2


def test_a_zero_vector_is_the_failure_of_its_text(server: EmbeddingServer, make: Make) -> None:
    server.script = [answers(lambda texts: [vector_of(texts[0]), [0.0] * servers.DIMENSION])]
    assert make().embed_all(["a", "b"]).failures[1].reason == "zero"


# Keys


@pytest.mark.parametrize("place", ["environment", "file"])
def test_the_key_is_sent_and_may_be_replaced(
    place: str, server: EmbeddingServer, make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def put(key: str) -> None:
        monkeypatch.setenv("EMBEDDING_KEY", key)
        (tmp_path / "key").write_text(key + "\n")

    put(KEY)
    where = {"api_key_env": "EMBEDDING_KEY"} if place == "environment" else {"api_key_file": tmp_path / "key"}
    embedder = make(**where)
    embedder.embed(["a"])
    put("another")
    embedder.embed(["a"])
    assert server.keys == [f"Bearer {KEY}", "Bearer another"]


def test_the_key_shows_nowhere(
    server: EmbeddingServer, make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("EMBEDDING_KEY", KEY)
    embedder = make(api_key_env="EMBEDDING_KEY", retries=1)
    shown = [repr(embedder), str(vars(embedder)), embedder.fingerprint]
    echo = b"Incorrect key: " + KEY.encode()
    for act in (status(401, echo), status(500, echo), refuses("a"), status(400, echo), servers.hangs_up_in_the_middle):
        server.otherwise = act
        try:
            shown.append(str(embedder.embed_all(["a"]).failures))
        except EmbedderError as error:
            found: BaseException | None = error
            while found is not None:
                shown += [str(found), repr(found)]
                found = found.__cause__ or found.__context__
    assert len(shown) > 10
    assert not any(KEY in text for text in [*shown, caplog.text])
    assert any("***" in text for text in shown)


def test_messages_leave_out_the_query_of_the_url(server: EmbeddingServer, make: Make) -> None:
    server.otherwise = status(500)
    with pytest.raises(EmbedderUnavailable, match=r"127\.0\.0\.1:\d+/embed ") as error:
        make(url=f"{server.url}/embed?token={KEY}", retries=0).embed(["a"])
    assert KEY not in str(error.value)


@pytest.mark.parametrize("key", ["", "  ", "two\nlines", "ümlaut", "control\x01"])
def test_an_unusable_key_is_an_error_that_does_not_show_it(key: str, make: Make, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(key, encoding="utf-8")
    with pytest.raises(EmbedderError, match="printable ASCII") as error:
        make(api_key_file=tmp_path / "key")
    assert not key.strip() or key not in str(error.value)
    with pytest.raises(EmbedderError, match="cannot be read"):
        make(api_key_file=tmp_path / "nowhere")


# Fingerprints


def test_the_fingerprint_names_the_model_and_covers_what_changes_vectors(server: EmbeddingServer, make: Make) -> None:
    fingerprint = make(model="e5").fingerprint
    assert fingerprint.startswith("http:e5-8:")
    assert make(model="e5", url=f"{server.url}/moved", batch_size=3).fingerprint == fingerprint
    others = [{"model": "e6"}, {"model": "e5", "prompt": "query: "}, {"model": "e5", "max_tokens": 7}, {}]
    assert len({fingerprint, *(make(**options).fingerprint for options in others)}) == 5
