"""The circuit breaker by a clock of its own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.gateway.connectors.breaker import Breaker, BreakerOpen


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def fail(breaker: Breaker, kind: type[Exception] = OSError) -> None:
    with pytest.raises(kind), breaker.call((OSError,)):
        raise kind


def test_call__failures_in_a_row__open_for_the_pause_then_one_probe() -> None:
    clock = Clock()
    breaker = Breaker(3, 30, clock)
    fail(breaker)
    fail(breaker)
    with breaker.call((OSError,)):
        pass  # a success in between: counting begins anew
    for _ in range(3):
        fail(breaker)

    clock.now = 29.9
    with pytest.raises(BreakerOpen), breaker.call((OSError,)):
        raise AssertionError("was called while open")
    clock.now = 30
    with breaker.call((OSError,)), pytest.raises(BreakerOpen), breaker.call((OSError,)):
        raise AssertionError("a second probe")

    assert not breaker.is_open
    with breaker.call((OSError,)):
        pass


def test_call__probe_fails__open_anew_for_the_whole_pause() -> None:
    clock = Clock()
    breaker = Breaker(1, 30, clock)
    fail(breaker)
    clock.now = 31
    fail(breaker)
    clock.now = 60

    with pytest.raises(BreakerOpen), breaker.call((OSError,)):
        pass
    clock.now = 61
    with breaker.call((OSError,)):
        pass
    assert not breaker.is_open


def test_call__other_errors__say_nothing_about_the_source() -> None:
    clock = Clock()
    breaker = Breaker(1, 30, clock)
    fail(breaker, ValueError)
    assert not breaker.is_open
    fail(breaker)
    clock.now = 30
    fail(breaker, ValueError)  # a probe that neither succeeded nor failed

    with breaker.call((OSError,)):
        pass
    assert not breaker.is_open


@given(st.lists(st.tuples(st.floats(0, 40), st.booleans()), max_size=40), st.integers(1, 4))
def test_call__any_history__refused_only_within_the_pause(history: list[tuple[float, bool]], most: int) -> None:
    clock = Clock()
    breaker = Breaker(most, 30, clock)
    row, opened = 0, -1000.0
    for passed, works in history:
        clock.now += passed
        called = False
        try:
            with breaker.call((OSError,)):
                called = True
                if not works:
                    raise OSError
        except (OSError, BreakerOpen):
            pass
        assert called == (row < most or clock.now - opened >= 30)
        if called:
            row = 0 if works else row + 1
            if not works and row >= most:
                opened = clock.now
