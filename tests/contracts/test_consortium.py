"""Consortium: admission, rotation, standing and history. The tree is consortium.tree."""

from __future__ import annotations

from typing import Any

import ape
import pytest
from eth_utils import keccak
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from world import KEYSET, World, seat_key

ABSENT, ACTIVE, SUSPENDED, REMOVED = range(4)
ZERO = "0x" + "0" * 40


def refuses(world: World, error: str, **values: Any) -> Any:
    """The next call reverts with this error of the Consortium."""
    return ape.reverts(getattr(world.consortium, error), **values)


# admit


def test_admit__council_and_seat_agree__seat_is_active(bare: World) -> None:
    key = seat_key(9)
    receipt = bare.consortium.admit(9, key.address, KEYSET, bare.admission(9, key), sender=bare.council)
    [event] = receipt.events
    assert (event.event_name, event.seat, event.signer) == ("SeatAdmitted", 9, key.address)
    assert (bytes(event.keysetHash), bytes(event.keyset)) == (keccak(KEYSET), KEYSET)
    record = bare.consortium.seatOf(9)
    assert (record.fromBlock, record.signer, record.standing) == (receipt.block_number, key.address, ACTIVE)
    assert bytes(record.keysetHash) == bytes(bare.consortium.keysetHashOf(9)) == keccak(KEYSET)
    assert bare.consortium.signerOf(9) == key.address


@pytest.mark.parametrize("seat", [0, 255])
def test_admit__first_and_last_number__taken(bare: World, seat: int) -> None:
    bare.admit(seat)
    assert bare.consortium.signerOf(seat) == seat_key(seat).address


def test_admit__sender_is_not_the_council__refused(bare: World) -> None:
    key = seat_key(9)
    with refuses(bare, "OwnableUnauthorizedAccount", account=bare.stranger.address):
        bare.consortium.admit(9, key.address, KEYSET, bare.admission(9, key), sender=bare.stranger)


def test_admit__number_given_before__refused(world: World) -> None:
    key = seat_key(99)
    with refuses(world, "Consortium_SeatTaken", seat=3):
        world.consortium.admit(3, key.address, KEYSET, world.admission(3, key), sender=world.council)


def test_admit__number_of_a_removed_seat__refused(world: World) -> None:
    world.consortium.remove(3, sender=world.council)
    with refuses(world, "Consortium_SeatTaken", seat=3):
        world.admit(3)


def test_admit__signer_of_another_seat__refused(world: World) -> None:
    key = seat_key(3)
    with refuses(world, "Consortium_SignerUsed", signer=key.address):
        world.consortium.admit(9, key.address, KEYSET, world.admission(9, key), sender=world.council)


def test_admit__signer_that_another_seat_left__refused(world: World) -> None:
    world.rotate(3, seat_key(3, 1))
    old = seat_key(3)
    with refuses(world, "Consortium_SignerUsed", signer=old.address):
        world.consortium.admit(9, old.address, KEYSET, world.admission(9, old), sender=world.council)


def test_admit__empty_keyset__refused(bare: World) -> None:
    key = seat_key(9)
    with refuses(bare, "Consortium_EmptyKeyset", seat=9):
        bare.consortium.admit(9, key.address, b"", bare.admission(9, key, b""), sender=bare.council)


def test_admit__signer_is_the_zero_address__refused(bare: World) -> None:
    with refuses(bare, "Consortium_WrongSignature", seat=9, signer=ZERO):
        bare.consortium.admit(9, ZERO, KEYSET, b"\0" * 65, sender=bare.council)


def test_admit__signature_over_something_else__refused(bare: World) -> None:
    key = seat_key(9)
    message = {"seat": 9, "signer": key.address, "keysetHash": keccak(KEYSET)}
    good = bare.admission(9, key)
    wrong = [
        bare.admission(8, key),
        bare.admission(9, key, b"{}"),
        bare.sign(seat_key(8), bare.consortium, "Admission", message),
        bare.sign(key, bare.catalog, "Admission", message),
        bare.sign(key, bare.consortium, "Admission", message, chainId=bare.chain_id + 1),
        bare.sign(key, bare.consortium, "Admission", message, name="Other"),
        bare.sign(key, bare.consortium, "Admission", message, version="2"),
        b"",
        good[:64],
        good + b"\0",
        good[:64] + b"\x05",
    ]
    for signature in wrong:
        with refuses(bare, "Consortium_WrongSignature", seat=9, signer=key.address):
            bare.consortium.admit(9, key.address, KEYSET, signature, sender=bare.council)


# rotate


def test_rotate__both_keys_agree__new_key_in_force(world: World) -> None:
    new, keyset = seat_key(3, 1), b'{"seat":3}'
    receipt = world.rotate(3, new, keyset)
    [event] = receipt.events
    assert (event.event_name, event.seat, event.signer, event.change) == ("SeatRotated", 3, new.address, 1)
    assert (bytes(event.keysetHash), bytes(event.keyset)) == (keccak(keyset), keyset)
    assert world.consortium.signerOf(3) == new.address
    assert bytes(world.consortium.keysetHashOf(3)) == keccak(keyset)


def test_rotate__same_key_new_keyset__only_the_document_changes(world: World) -> None:
    world.rotate(3, world.keys[3], b'{"endpoint":"elsewhere"}')
    assert world.consortium.signerOf(3) == seat_key(3).address
    assert bytes(world.consortium.keysetHashOf(3)) == keccak(b'{"endpoint":"elsewhere"}')


@pytest.mark.parametrize("taker", ["another seat's key", "the seat's own earlier key"])
def test_rotate__key_used_before__refused(world: World, taker: str) -> None:
    key = seat_key(4)
    if taker != "another seat's key":
        key = world.keys[3]
        world.rotate(3, seat_key(3, 1))
    with refuses(world, "Consortium_SignerUsed", signer=key.address):
        world.rotate(3, key)


def test_rotate__empty_keyset__refused(world: World) -> None:
    with refuses(world, "Consortium_EmptyKeyset", seat=3):
        world.rotate(3, seat_key(3, 1), b"")


@pytest.mark.parametrize("standing", [ABSENT, SUSPENDED, REMOVED])
def test_rotate__seat_not_active__refused(world: World, standing: int) -> None:
    seat = 9 if standing == ABSENT else 3
    world.keys[9] = seat_key(9)
    if standing == SUSPENDED:
        world.consortium.suspend(3, sender=world.council)
    elif standing == REMOVED:
        world.consortium.remove(3, sender=world.council)
    with refuses(world, "Consortium_WrongStanding", seat=seat, standing=standing):
        world.rotate(seat, seat_key(seat, 1))


def test_rotate__old_key_did_not_sign__refused(world: World) -> None:
    old, new = world.keys[3], seat_key(3, 1)
    good = world.rotation(new, 3, new.address, 1)
    wrong = [
        good,
        world.rotation(old, 3, new.address, 2),
        world.rotation(old, 4, new.address, 1),
        world.rotation(old, 3, old.address, 1),
        world.rotation(old, 3, new.address, 1, b"{}"),
        world.rotation(old, 3, new.address, 1, chainId=world.chain_id + 1),
        b"",
    ]
    for signature in wrong:
        with refuses(world, "Consortium_WrongSignature", seat=3, signer=old.address):
            world.consortium.rotate(3, new.address, KEYSET, signature, good, sender=world.stranger)


def test_rotate__new_key_did_not_sign__refused(world: World) -> None:
    old, new = world.keys[3], seat_key(3, 1)
    good = world.rotation(old, 3, new.address, 1)
    for signature in (good, world.rotation(new, 3, new.address, 0), b"\x1b" * 65):
        with refuses(world, "Consortium_WrongSignature", seat=3, signer=new.address):
            world.consortium.rotate(3, new.address, KEYSET, good, signature, sender=world.stranger)


def test_rotate__same_signatures_again__refused(world: World) -> None:
    old, keyset = world.keys[3], b'{"once":true}'
    signature = world.rotation(old, 3, old.address, 1, keyset)
    world.consortium.rotate(3, old.address, keyset, signature, signature, sender=world.stranger)
    with refuses(world, "Consortium_WrongSignature", seat=3, signer=old.address):
        world.consortium.rotate(3, old.address, keyset, signature, signature, sender=world.stranger)


# suspend, reinstate, remove


def test_suspend__active_seat__no_key_in_force(world: World) -> None:
    [event] = world.consortium.suspend(3, sender=world.council).events
    assert (event.event_name, event.seat) == ("SeatSuspended", 3)
    assert world.consortium.signerOf(3) == ZERO
    record = world.consortium.seatOf(3)
    assert (record.standing, record.signer) == (SUSPENDED, seat_key(3).address)


def test_reinstate__suspended_seat__same_key_in_force_again(world: World) -> None:
    world.consortium.suspend(3, sender=world.council)
    [event] = world.consortium.reinstate(3, sender=world.council).events
    assert (event.event_name, event.seat) == ("SeatReinstated", 3)
    assert world.consortium.signerOf(3) == seat_key(3).address


@pytest.mark.parametrize("suspended_before", [False, True])
def test_remove__active_or_suspended_seat__gone_for_good(world: World, suspended_before: bool) -> None:
    if suspended_before:
        world.consortium.suspend(3, sender=world.council)
    [event] = world.consortium.remove(3, sender=world.council).events
    assert (event.event_name, event.seat) == ("SeatRemoved", 3)
    assert world.consortium.signerOf(3) == ZERO
    assert world.consortium.seatOf(3).standing == REMOVED
    for call in ("suspend", "reinstate", "remove"):
        with refuses(world, "Consortium_WrongStanding", seat=3, standing=REMOVED):
            getattr(world.consortium, call)(3, sender=world.council)


@pytest.mark.parametrize(
    ("call", "seat", "standing"),
    [("suspend", 9, ABSENT), ("reinstate", 9, ABSENT), ("remove", 9, ABSENT), ("reinstate", 3, ACTIVE)],
)
def test_standing__does_not_allow_the_change__refused(world: World, call: str, seat: int, standing: int) -> None:
    with refuses(world, "Consortium_WrongStanding", seat=seat, standing=standing):
        getattr(world.consortium, call)(seat, sender=world.council)


def test_suspend__suspended_already__refused(world: World) -> None:
    world.consortium.suspend(3, sender=world.council)
    with refuses(world, "Consortium_WrongStanding", seat=3, standing=SUSPENDED):
        world.consortium.suspend(3, sender=world.council)


@pytest.mark.parametrize("call", ["suspend", "reinstate", "remove"])
def test_standing__sender_is_not_the_council__refused(world: World, call: str) -> None:
    with refuses(world, "OwnableUnauthorizedAccount", account=world.stranger.address):
        getattr(world.consortium, call)(3, sender=world.stranger)


# the council


def test_transferOwnership__new_council_has_not_accepted__old_one_rules(world: World) -> None:
    world.consortium.transferOwnership(world.stranger, sender=world.council)
    assert world.consortium.owner() == world.council.address
    world.consortium.acceptOwnership(sender=world.stranger)
    assert world.consortium.owner() == world.stranger.address
    world.consortium.suspend(3, sender=world.stranger)
    with refuses(world, "OwnableUnauthorizedAccount", account=world.council.address):
        world.consortium.reinstate(3, sender=world.council)


# views


def test_views__seat_never_admitted__all_zero(bare: World) -> None:
    record = bare.consortium.seatOf(77)
    assert (record.fromBlock, record.signer, record.standing, bytes(record.keysetHash)) == (0, ZERO, 0, bytes(32))
    assert bare.consortium.signerOf(77) == bare.consortium.signerAt(77, 2**64) == ZERO
    assert bytes(bare.consortium.keysetHashOf(77)) == bytes(32)
    assert bare.consortium.historyLength(77) == 0


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(changes=st.lists(st.sampled_from(["rotate", "suspend", "reinstate", "mine"]), min_size=1, max_size=8))
def test_history__any_changes__every_past_block_answers(world: World, chain: Any, changes: list[str]) -> None:
    seat = next(seat for seat in range(10, 255) if not world.consortium.historyLength(seat))
    world.admit(seat)
    address = seat_key(seat).address
    expected = [(chain.blocks.height, address, ACTIVE)]
    for generation, change in enumerate(changes, start=1):
        block, signer, standing = expected[-1]
        if change == "mine":
            chain.mine()
        elif change == "rotate" and standing == ACTIVE:
            address = seat_key(seat, generation).address
            world.rotate(seat, seat_key(seat, generation))
            expected.append((chain.blocks.height, address, ACTIVE))
        elif change == "suspend" and standing == ACTIVE:
            world.consortium.suspend(seat, sender=world.council)
            expected.append((chain.blocks.height, signer, SUSPENDED))
        elif change == "reinstate" and standing == SUSPENDED:
            world.consortium.reinstate(seat, sender=world.council)
            expected.append((chain.blocks.height, signer, ACTIVE))

    assert world.consortium.historyLength(seat) == len(expected)
    for index, (block, signer, standing) in enumerate(expected):
        record = world.consortium.historyAt(seat, index)
        assert (record.fromBlock, record.signer, record.standing) == (block, signer, standing)
    for block in range(expected[0][0] - 1, chain.blocks.height + 1):
        held = [entry for entry in expected if entry[0] <= block]
        in_force = held[-1][1] if held and held[-1][2] == ACTIVE else ZERO
        assert world.consortium.signerAt(seat, block) == in_force


def test_historyAt__beyond_the_last_entry__panics(world: World) -> None:
    with pytest.raises(ape.exceptions.ContractLogicError):
        world.consortium.historyAt(3, 1)


def test_signerAt__block_of_a_change__what_the_change_made(bare: World, chain: Any) -> None:
    key = seat_key(9)
    bare.consortium.admit(9, key.address, KEYSET, bare.admission(9, key), sender=bare.council)
    bare.consortium.suspend(9, sender=bare.council)
    height = chain.blocks.height
    assert bare.consortium.signerAt(9, height - 1) == key.address
    assert bare.consortium.signerAt(9, height) == ZERO
