"""What the messages have in common."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.errors import Invalid, Refused
from orchestrator.protocol.ports import BindingView
from orchestrator.protocol.wire import WireModel, check_period, is_int, new_jti, read_model, seat_number, seat_ref


@given(st.integers(0, 255))
def test_seat_ref__any_seat__reads_back(seat: int) -> None:
    assert seat_number(seat_ref(seat)) == seat


@pytest.mark.parametrize(
    "ref", ["seat:256", "seat:-1", "seat:01", "seat:", "Seat:1", "seat:1 ", "1", 1, None, "seat:１"]
)
def test_seat_number__any_other_text__refused(ref: object) -> None:
    with pytest.raises(Invalid):
        seat_number(ref)


@pytest.mark.parametrize("seat", [-1, 256])
def test_seat_ref__no_such_number__refused(seat: int) -> None:
    with pytest.raises(ValueError):
        seat_ref(seat)


class Sample(WireModel):
    name: str
    count: int


@pytest.mark.parametrize("payload", [{"name": "x", "count": "1"}, {"name": "x", "count": True}, {"name": 1, "count": 1},
                                     {"name": "x"}, {"name": "x", "count": 1, "more": 1}, [], None])  # fmt: skip
def test_read_model__other_types_missing_or_unknown_fields__refused_without_values(payload: object) -> None:
    assert read_model(Sample, {"name": "x", "count": 1}, code="c").count == 1
    with pytest.raises(Invalid) as caught:
        read_model(Sample, payload, code="c")
    assert caught.value.code == "c"
    assert caught.value.__cause__ is None


@given(st.integers(0, 2000), st.integers(-100, 2000), st.integers(-100, 2000))
def test_check_period__any_times__only_inside(iat: int, lasts: int, now: int) -> None:
    inside = 0 < lasts <= 600 and iat - 30 <= now < iat + lasts
    try:
        check_period({"iat": iat, "exp": iat + lasts}, now=now, longest=600)
    except Refused:
        assert not inside
    else:
        assert inside


def test_new_jti__many__all_different_and_long_enough() -> None:
    nonces = {new_jti() for _ in range(1000)}
    assert len(nonces) == 1000
    assert all(len(nonce) >= 16 for nonce in nonces)


def test_is_int__bools_and_floats__are_not() -> None:
    assert is_int(1)
    assert not any(is_int(value) for value in (True, 1.0, "1", None))


def test_binding_view__named__every_seat_of_every_role() -> None:
    view = BindingView(
        number=1, version="0x", region="110108", identity=2, operator=0, approvers=(3, 4), providers=(1, 2), live=True
    )
    assert view.named == {0, 1, 2, 3, 4}
