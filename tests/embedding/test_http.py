"""The HTTP embedder against a real server on this machine: what is sent, and passing trouble."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import numpy as np
import pytest

from tests.embedding import servers
from tests.embedding.conftest import Make, World, expected
from tests.embedding.servers import EmbeddingServer, answers, good, says, status, vector_of
from tsds_stream.embedding import EmbedderUnavailable
from tsds_stream.embedding.breaker import State
from tsds_stream.embedding.http import HttpEmbedder
from tsds_stream.embedding.settings import HttpSettings

# What is sent


def test_tei_is_asked_at_embed_with_truncation(server: EmbeddingServer, make: Make) -> None:
    assert np.array_equal(make().embed(["a", "b"]), expected(["a", "b"]))
    assert server.paths == ["/embed"]
    assert server.requests == [{"inputs": ["a", "b"], "truncate": True, "normalize": True}]


def test_openai_is_asked_at_v1_embeddings_with_the_model(server: EmbeddingServer, make: Make) -> None:
    assert np.array_equal(make(api="openai", model="m").embed(["a", "b"]), expected(["a", "b"]))
    assert server.paths == ["/v1/embeddings"]
    assert server.requests == [{"model": "m", "input": ["a", "b"], "encoding_format": "float"}]


def test_a_path_in_the_url_is_kept(server: EmbeddingServer, make: Make) -> None:
    make(url=f"{server.url}/gateway/embed?route=1").embed(["a"])
    assert server.paths == ["/gateway/embed?route=1"]


def test_requests_are_bounded_by_count_and_by_tokens(server: EmbeddingServer, make: Make) -> None:
    texts = ["a"] * 5 + ["b" * 40] * 3
    assert np.array_equal(make(batch_size=4, batch_tokens=20).embed(texts), expected(texts))
    assert [len(r["inputs"]) for r in server.requests] == [4, 2, 2]


def test_a_prompt_is_sent_and_a_long_text_is_cut(server: EmbeddingServer, make: Make) -> None:
    make(prompt="query: ", max_tokens=2).embed(["0123456789", "ééééééé"])
    assert server.requests[0]["inputs"] == ["query: 01234567", "query: éééé"]


def test_blank_texts_are_never_sent(server: EmbeddingServer, make: Make) -> None:
    assert make().embed_all(["", " "]).failures.keys() == {0, 1}
    assert server.requests == []


def test_one_connection_serves_many_requests(server: EmbeddingServer, make: Make) -> None:
    make(batch_size=1).embed(["a", "b", "c"])
    assert server.connections == 1


def test_the_dimension_is_asked_once_when_it_is_not_configured(server: EmbeddingServer, make: Make) -> None:
    embedder = make(dimension=None)
    assert embedder.dimension == servers.DIMENSION
    assert embedder.dimension == servers.DIMENSION
    assert len(server.requests) == 1


# Right answers in unusual clothes


def test_an_answer_in_chunks_is_read(server: EmbeddingServer, make: Make) -> None:
    server.script = [servers.chunked]
    assert np.array_equal(make(batch_size=2).embed(["a", "b", "c"]), expected(["a", "b", "c"]))
    assert server.connections == 1


def test_openai_vectors_are_put_in_the_order_of_their_index(server: EmbeddingServer, make: Make) -> None:
    texts = [f"text {i}" for i in range(20)]
    server.script = [servers.shuffled]
    assert np.array_equal(make(api="openai", model="m").embed(texts), expected(texts))


# Trouble that passes


PASSING = {
    "429": status(429, b"slow down"),
    "500": status(500, b"oops"),
    "502": status(502, b"<html>bad gateway</html>"),
    "503": status(503),
    "408": status(408),
    "424": status(424, b'{"error":"inference failed"}'),
    "hangs up before it answers": servers.hangs_up_before_answering,
    "hangs up in the middle": servers.hangs_up_in_the_middle,
    "endless answer": servers.endless,
    "not JSON": says(b"<html>Welcome</html>"),
    "empty body": says(b""),
    "deeply nested": says(b"[" * 50_000 + b"]" * 50_000),
    "another protocol": says(b'{"embeddings": []}'),
    "a list of numbers": says(b"[1, 2, 3]"),
    "too few vectors": answers(lambda texts: [vector_of(text) for text in texts[1:]]),
    "too many vectors": answers(lambda texts: [vector_of(text) for text in [*texts, "more"]]),
    "vectors of two lengths": answers(lambda texts: [vector_of(texts[0]), *[[1.0]] * (len(texts) - 1)]),
    "words for numbers": answers(lambda texts: [["x"] * servers.DIMENSION for _ in texts]),
    "nested numbers": answers(lambda texts: [[[1.0]] * servers.DIMENSION for _ in texts]),
}


@pytest.mark.parametrize("trouble", PASSING)
def test_passing_trouble_is_waited_for(trouble: str, server: EmbeddingServer, make: Make, world: World) -> None:
    server.script = [PASSING[trouble], PASSING[trouble]]
    texts = ["a", "b", "c"]
    assert np.array_equal(make().embed(texts), expected(texts))
    assert world.slept == [0.5, 1.0]  # at most: full jitter is drawn between 0 and these


@pytest.mark.parametrize("indexes", [[0, 0], [1, 2], [0], [0, 1, 2], [0, "1"], [0, None]], ids=lambda found: str(found))
def test_openai_indexes_that_do_not_fit_are_not_guessed(
    indexes: list[Any], server: EmbeddingServer, make: Make, world: World
) -> None:
    rows = b",".join(
        b'{"index": %s, "embedding": [1,2,3,4,5,6,7,8]}' % repr(i).replace("'", '"').replace("None", "null").encode()
        for i in indexes
    )
    server.script = [says(b'{"data": [' + rows + b"]}")]
    assert np.array_equal(make(api="openai", model="m").embed(["a", "b"]), expected(["a", "b"]))
    assert len(world.slept) == 1


@pytest.mark.parametrize("act", [servers.silent, servers.dripping])
def test_a_server_that_does_not_finish_in_time_is_given_up(act: servers.Act, server: EmbeddingServer) -> None:
    server.script = [act]
    settings = HttpSettings(url=server.url, timeout=1.0, retries=0, dimension=servers.DIMENSION)
    embedder = HttpEmbedder(settings)
    with pytest.raises(EmbedderUnavailable, match="Timeout"):
        embedder.embed(["a"])
    assert np.array_equal(embedder.embed(["a"]), expected(["a"]))
    embedder.close()


def test_an_idle_connection_that_the_server_closed_is_no_failure(
    server: EmbeddingServer, make: Make, world: World
) -> None:
    embedder = make()
    embedder.embed(["a"])
    server.script = [servers.hangs_up_before_answering]  # as a server does that timed the connection out
    assert np.array_equal(embedder.embed(["b"]), expected(["b"]))
    assert world.slept == []


def test_a_server_that_asks_for_time_gets_it(server: EmbeddingServer, make: Make, world: World) -> None:
    date = format_datetime(datetime.fromtimestamp(world.now, timezone.utc) + timedelta(seconds=9), usegmt=True)
    server.script = [status(429, Retry_After="7"), status(503, Retry_After=date), status(429, Retry_After="soon")]
    make().embed(["a"])
    assert world.slept == [7.0, 2.0, 2.0]  # the date is 9 seconds after the start, of which 7 have passed


def test_nobody_waits_for_ever(server: EmbeddingServer, make: Make) -> None:
    for word in ("9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"):
        server.script = [status(429, Retry_After=word)]
        with pytest.raises(EmbedderUnavailable) as error:
            make().embed(["a"])
        assert error.value.retry_after == 3600.0


def test_waits_grow_to_a_limit(server: EmbeddingServer, make: Make, world: World) -> None:
    server.script = [status(500)] * 6
    make(retries=6, backoff=1.0, backoff_limit=5.0, breaker_failures=10).embed(["a"])
    assert world.slept == [1.0, 2.0, 4.0, 5.0, 5.0, 5.0]


# Trouble that stays


def test_an_outage_is_reported_as_such_and_blames_no_text(server: EmbeddingServer, make: Make, world: World) -> None:
    server.otherwise = status(503, b"overloaded")
    embedder = make(retries=2)
    with pytest.raises(EmbedderUnavailable, match="503, overloaded") as error:
        embedder.embed_all(["a", "b"])
    assert len(server.requests) == 3
    assert error.value.retry_after > 0


def test_a_server_that_asks_for_a_long_pause_is_not_waited_for_here(
    server: EmbeddingServer, make: Make, world: World
) -> None:
    server.otherwise = status(429, Retry_After="3600")
    with pytest.raises(EmbedderUnavailable) as error:
        make().embed_all(["a"])
    assert error.value.retry_after == 3600
    assert world.slept == []
    assert len(server.requests) == 1


def test_a_server_that_keeps_failing_is_left_alone_until_it_has_recovered(
    server: EmbeddingServer, make: Make, world: World
) -> None:
    server.otherwise = status(500)
    embedder = make(retries=0, breaker_failures=3, breaker_pause=10.0)
    for _ in range(3):
        with pytest.raises(EmbedderUnavailable):
            embedder.embed(["a"])
    assert embedder.breaker.state is State.OPEN
    with pytest.raises(EmbedderUnavailable, match="left alone") as error:
        embedder.embed(["a"])
    assert error.value.retry_after == 10.0
    assert len(server.requests) == 3  # the fourth was not sent
    world.now += 10.0
    with pytest.raises(EmbedderUnavailable):  # one is tried, and fails
        embedder.embed(["a"])
    assert len(server.requests) == 4
    world.now += 10.0
    server.otherwise = good
    assert np.array_equal(embedder.embed(["a"]), expected(["a"]))
    assert embedder.breaker.state is State.CLOSED


def test_the_breaker_ends_the_attempts_of_one_call(server: EmbeddingServer, make: Make) -> None:
    server.otherwise = status(500)
    with pytest.raises(EmbedderUnavailable):
        make(retries=100, breaker_failures=4).embed(["a"])
    assert len(server.requests) == 4


def test_nobody_listening_is_an_outage(make: Make) -> None:
    with servers.running() as gone:
        url = gone.url
    with pytest.raises(EmbedderUnavailable, match="ConnectionRefused"):
        make(url=url, retries=1).embed(["a"])
