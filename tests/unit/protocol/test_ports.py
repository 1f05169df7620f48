"""A seat's keys of then and now, and who answers an item."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.domain.errors import Invalid, Refused
from orchestrator.protocol.jose import SigningKey, sign_jws, verify_jws
from orchestrator.protocol.keyset import SeatKeys, generate_seat_keys
from orchestrator.protocol.ports import SeatView, provider_of, seat_knowing
from orchestrator.protocol.wire import CLOCK_SKEW
from tests.support.consortium import Consortium, make_consortium

POLICE = 2
ROTATED = 1_800_000_000


@pytest.fixture(scope="module")
def consortium() -> Consortium:
    return make_consortium()


@pytest.fixture(scope="module")
def rotated(consortium: Consortium) -> tuple[SeatKeys, SeatKeys, SeatView]:
    """The keys of a seat before and after its rotation at `ROTATED`, and the seat."""
    old, new = consortium.keys[POLICE], generate_seat_keys(identity=True)
    keyset = replace(consortium.seat(POLICE).keyset, keys=tuple(new.public_jwks()))
    return old, new, consortium.chain.admit(keyset, new, at=ROTATED)


def token(key: SigningKey, iat: Any) -> str:
    return sign_jws({"iat": iat}, typ="test", key=key)


@pytest.mark.parametrize("use_for", ["evidence", "request", "identity"])
def test_key_of__signed_before_the_rotation__old_key_verifies(
    rotated: tuple[SeatKeys, SeatKeys, SeatView], use_for: str
) -> None:
    old, new, seat = rotated
    for keys, iat in ((old, ROTATED - 1), (old, ROTATED + CLOCK_SKEW), (new, ROTATED - 1), (new, ROTATED + 1)):
        jws = token(getattr(keys, use_for), iat)
        assert verify_jws(jws, typ="test", jwk=seat.key_of(use_for, jws)) == {"iat": iat}


@pytest.mark.parametrize("iat", [ROTATED + CLOCK_SKEW + 1, 1 << 60, None, "1", True, float(ROTATED - 1)])
def test_key_of__old_key_signed_after_the_rotation__refused(
    rotated: tuple[SeatKeys, SeatKeys, SeatView], iat: Any
) -> None:
    old, _, seat = rotated
    with pytest.raises(Refused) as error:
        seat.key_of("evidence", token(old.evidence, iat))
    assert error.value.code == "bad-signature"


def test_key_of__key_of_another_use_or_seat__refused(rotated: tuple[SeatKeys, SeatKeys, SeatView]) -> None:
    old, new, seat = rotated
    for key in (old.request, new.request, SigningKey.generate()):
        with pytest.raises(Refused):
            seat.key_of("evidence", token(key, ROTATED - 1))
    for junk in ("", "a.b.c", "äöü"):
        with pytest.raises(Refused):
            seat.key_of("evidence", junk)


def test_key_of__rotated_twice__each_key_in_its_time(consortium: Consortium) -> None:
    number = consortium.scenario.providers.index("market-supervision")
    number = consortium.binding.providers[number]
    first, second, third = consortium.keys[number], generate_seat_keys(), generate_seat_keys()
    seat = consortium.seat(number)
    for keys, at in ((second, ROTATED), (third, ROTATED + 100)):
        seat = consortium.chain.admit(replace(seat.keyset, keys=tuple(keys.public_jwks())), keys, at=at)
    assert seat.key_of("evidence", token(second.evidence, ROTATED + 100 + CLOCK_SKEW))["kid"] == second.evidence.kid
    assert seat.key_of("evidence", token(first.evidence, ROTATED))["kid"] == first.evidence.kid
    for keys, iat in ((first, ROTATED + CLOCK_SKEW + 1), (second, ROTATED + 101 + CLOCK_SKEW)):
        with pytest.raises(Refused):
            seat.key_of("evidence", token(keys.evidence, iat))


def test_key_of__rotation_that_kept_the_key__goes_on(consortium: Consortium) -> None:
    department = consortium.seat(consortium.binding.operator)
    keys = consortium.keys[department.number]
    seat = consortium.chain.admit(department.keyset, keys, at=ROTATED)
    later = token(keys.evidence, int(time.time()) + ROTATED)
    assert seat.key_of("evidence", later)["kid"] == keys.evidence.kid


def test_signed_by__chain_key_replaced__counts_a_moment_longer(consortium: Consortium) -> None:
    number = consortium.binding.approvers[0]
    first, keys = consortium.seat(number).signer, generate_seat_keys()
    seat = consortium.chain.admit(consortium.seat(number).keyset, keys, at=ROTATED)
    assert [seat.signed_by(first, ROTATED + CLOCK_SKEW + late) for late in (0, 1)] == [True, False]
    assert seat.signed_by(keys.chain.address, ROTATED + 10**6)
    assert not seat.signed_by(generate_seat_keys().chain.address, ROTATED)


@pytest.mark.anyio
async def test_seat_knowing__key_that_is_not_known__looks_again_once(consortium: Consortium) -> None:
    seat = consortium.seat(consortium.binding.approvers[0])
    looked: list[bool] = []

    class Chain:
        async def look_again(self) -> None:
            looked.append(True)

        async def seat(self, number: int) -> SeatView:
            return consortium.seat(number)

    known = token(consortium.keys[seat.number].evidence, 1)
    assert await seat_knowing(Chain(), seat, "evidence", [known, "junk"]) is seat  # type: ignore[arg-type]
    assert looked == []
    new = token(SigningKey.generate(), 1)
    assert await seat_knowing(Chain(), seat, "evidence", [known, new, new]) == seat  # type: ignore[arg-type]
    assert looked == [True]


def test_provider_of__every_item__the_seat_in_its_role(consortium: Consortium) -> None:
    scenario, binding = consortium.scenario, consortium.binding
    for item in scenario.evidence:
        assert provider_of(item, scenario, binding) == binding.providers[scenario.providers.index(item.provider)]
    stated = scenario.evidence[0].model_copy(update={"source": "mandate", "provider": "identity"})
    assert provider_of(stated, scenario, binding) == binding.identity


def test_provider_of__unknown_role_or_unfilled__invalid(consortium: Consortium) -> None:
    item = consortium.scenario.item("E05.company")
    with pytest.raises(Invalid):
        provider_of(item.model_copy(update={"provider": "nobody"}), consortium.scenario, consortium.binding)
    with pytest.raises(Invalid):
        provider_of(item, consortium.scenario, replace(consortium.binding, providers=()))
