from __future__ import annotations

from tsds_stream.embedding.breaker import CircuitBreaker, State


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_it_opens_after_failures_in_a_row_only() -> None:
    breaker = CircuitBreaker(3, 10.0, Clock())
    for _ in range(5):
        breaker.failed()
        breaker.failed()
        breaker.succeeded()
    assert breaker.state is State.CLOSED
    breaker.failed()
    breaker.failed()
    assert breaker.state is State.CLOSED
    breaker.failed()
    assert breaker.state is State.OPEN
    assert breaker.remaining == 10.0


def test_after_the_pause_one_success_closes_it() -> None:
    clock = Clock()
    breaker = CircuitBreaker(1, 10.0, clock)
    breaker.failed()
    clock.now = 9.5
    assert (breaker.state, breaker.remaining) == (State.OPEN, 0.5)
    clock.now = 10.0
    assert (breaker.state, breaker.remaining) == (State.HALF_OPEN, 0.0)
    breaker.succeeded()
    assert (breaker.state, breaker.remaining) == (State.CLOSED, 0.0)


def test_after_the_pause_one_failure_opens_it_again() -> None:
    clock = Clock()
    breaker = CircuitBreaker(3, 10.0, clock)
    for _ in range(3):
        breaker.failed()
    clock.now = 11.0
    breaker.failed()
    assert (breaker.state, breaker.remaining) == (State.OPEN, 10.0)


def test_a_server_that_asks_for_a_longer_pause_gets_it() -> None:
    breaker = CircuitBreaker(1, 10.0, Clock())
    breaker.failed(retry_after=60.0)
    assert breaker.remaining == 60.0
