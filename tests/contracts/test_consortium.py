"""Consortium: admission, standing, the council and history. The tree is consortium.tree."""

from __future__ import annotations

from typing import Any

import ape
import pytest
from eth_utils import keccak
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from world import ABSENT, ACTIVE, ADMISSION, KEYSET, REMOVED, SUSPENDED, VETO_BLOCKS, ZERO, World, container, seat_key

# admit


def test_admit__council_and_seat_agree__seat_is_active(bare: World) -> None:
    key = seat_key(9)
    receipt = bare.consortium.admit(9, key.address, KEYSET, bare.admission(9, key), sender=bare.council)
    [event] = receipt.events
    assert (event.event_name, event.seat, event.signer) == ("SeatAdmitted", 9, key.address)
    assert (bytes(event.keysetHash), bytes(event.keyset)) == (keccak(KEYSET), KEYSET)
    record = bare.consortium.seatOf(9)
    assert (record.signer, record.standing) == (key.address, ACTIVE)
    [keys], [standing] = bare.consortium.keysOf(9), bare.consortium.standingsOf(9)
    assert (keys.fromBlock, keys.signer, keys.origin) == (receipt.block_number, key.address, ADMISSION)
    assert (standing.fromBlock, standing.standing) == (receipt.block_number, ACTIVE)
    assert (
        bytes(keys.keysetHash) == bytes(record.keysetHash) == bytes(bare.consortium.keysetHashOf(9)) == keccak(KEYSET)
    )
    assert bare.consortium.signerOf(9) == key.address


@pytest.mark.parametrize("seat", [0, 255])
def test_admit__first_and_last_number__taken(bare: World, seat: int) -> None:
    bare.admit(seat)
    assert bare.consortium.signerOf(seat) == seat_key(seat).address


def test_admit__sender_is_not_the_council__refused(bare: World) -> None:
    key = seat_key(9)
    with bare.refused_by_consortium("OwnableUnauthorizedAccount", account=bare.stranger.address):
        bare.consortium.admit(9, key.address, KEYSET, bare.admission(9, key), sender=bare.stranger)


def test_admit__number_given_before__refused(world: World) -> None:
    key = seat_key(99)
    with world.refused_by_consortium("Consortium_SeatTaken", seat=3):
        world.consortium.admit(3, key.address, KEYSET, world.admission(3, key), sender=world.council)


def test_admit__number_of_a_removed_seat__refused(world: World) -> None:
    world.consortium.remove(3, sender=world.council)
    with world.refused_by_consortium("Consortium_SeatTaken", seat=3):
        world.admit(3)


def test_admit__signer_of_another_seat__refused(world: World) -> None:
    key = seat_key(3)
    with world.refused_by_consortium("Consortium_SignerUsed", signer=key.address):
        world.consortium.admit(9, key.address, KEYSET, world.admission(9, key), sender=world.council)


def test_admit__signer_that_another_seat_left__refused(world: World) -> None:
    world.rotate(3, seat_key(3, 1))
    old = seat_key(3)
    with world.refused_by_consortium("Consortium_SignerUsed", signer=old.address):
        world.consortium.admit(9, old.address, KEYSET, world.admission(9, old), sender=world.council)


def test_admit__empty_keyset__refused(bare: World) -> None:
    key = seat_key(9)
    with bare.refused_by_consortium("Consortium_EmptyKeyset", seat=9):
        bare.consortium.admit(9, key.address, b"", bare.admission(9, key, b""), sender=bare.council)


def test_admit__signer_is_the_zero_address__refused(bare: World) -> None:
    with bare.refused_by_consortium("Consortium_WrongSignature", seat=9, signer=ZERO):
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
        with bare.refused_by_consortium("Consortium_WrongSignature", seat=9, signer=key.address):
            bare.consortium.admit(9, key.address, KEYSET, signature, sender=bare.council)


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
        with world.refused_by_consortium("Consortium_WrongStanding", seat=3, standing=REMOVED):
            getattr(world.consortium, call)(3, sender=world.council)


@pytest.mark.parametrize(
    ("call", "seat", "standing"),
    [("suspend", 9, ABSENT), ("reinstate", 9, ABSENT), ("remove", 9, ABSENT), ("reinstate", 3, ACTIVE)],
)
def test_standing__does_not_allow_the_change__refused(world: World, call: str, seat: int, standing: int) -> None:
    with world.refused_by_consortium("Consortium_WrongStanding", seat=seat, standing=standing):
        getattr(world.consortium, call)(seat, sender=world.council)


def test_suspend__suspended_already__refused(world: World) -> None:
    world.consortium.suspend(3, sender=world.council)
    with world.refused_by_consortium("Consortium_WrongStanding", seat=3, standing=SUSPENDED):
        world.consortium.suspend(3, sender=world.council)


@pytest.mark.parametrize("call", ["suspend", "reinstate", "remove"])
def test_standing__sender_is_not_the_council__refused(world: World, call: str) -> None:
    with world.refused_by_consortium("OwnableUnauthorizedAccount", account=world.stranger.address):
        getattr(world.consortium, call)(3, sender=world.stranger)


# the council


def test_transferOwnership__new_council_has_not_accepted__old_one_rules(world: World) -> None:
    world.consortium.transferOwnership(world.stranger, sender=world.council)
    assert world.consortium.owner() == world.council.address
    world.consortium.acceptOwnership(sender=world.stranger)
    assert world.consortium.owner() == world.stranger.address
    world.consortium.suspend(3, sender=world.stranger)
    with world.refused_by_consortium("OwnableUnauthorizedAccount", account=world.council.address):
        world.consortium.reinstate(3, sender=world.council)


def test_renounceOwnership__by_the_council__refused(world: World) -> None:
    with world.refused_by_consortium("Consortium_CouncilNeeded"):
        world.consortium.renounceOwnership(sender=world.council)
    assert world.consortium.owner() == world.council.address


def test_renounceOwnership__sender_is_not_the_council__refused(world: World) -> None:
    with world.refused_by_consortium("OwnableUnauthorizedAccount", account=world.stranger.address):
        world.consortium.renounceOwnership(sender=world.stranger)


def test_constructor__no_block_to_veto_in__refused(bare: World, compiled: dict[str, Any]) -> None:
    with pytest.raises(ape.exceptions.ContractLogicError) as error:
        bare.council.deploy(container("Consortium", compiled), bare.council, 0)
    assert type(error.value).__name__ == "Consortium_NoVetoBlocks"
    assert bare.consortium.vetoBlocks() == VETO_BLOCKS


# views


def test_views__seat_never_admitted__all_zero(bare: World) -> None:
    consortium = bare.consortium
    record = consortium.seatOf(77)
    assert (record.signer, record.standing, bytes(record.keysetHash)) == (ZERO, 0, bytes(32))
    assert consortium.signerOf(77) == consortium.signerAt(77, 2**64) == ZERO
    assert bytes(consortium.keysetHashOf(77)) == bytes(consortium.keysetHashAt(77, 2**64)) == bytes(32)
    assert consortium.standingAt(77, 2**64) == ABSENT
    assert (consortium.changeCount(77), consortium.announcedOf(77)[0]) == (0, 0)
    assert list(consortium.keysOf(77)) == list(consortium.standingsOf(77)) == []


CHANGES = ["rotate", "recover", "veto", "suspend", "reinstate", "mine", "mine"]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(changes=st.lists(st.sampled_from(CHANGES), min_size=1, max_size=12))
def test_history__any_changes__every_past_block_answers(world: World, changes: list[str]) -> None:
    seat = next(seat for seat in range(10, 255) if not world.consortium.keysOf(seat))
    world.admit(seat)
    begins = world.height
    keys = [(begins, seat_key(seat), KEYSET)]
    standings = [(begins, ACTIVE)]
    for generation, change in enumerate(changes, start=1):
        new, keyset, standing = seat_key(seat, generation), str(generation).encode(), standings[-1][1]
        pending = keys[-1][0] > world.height
        # The call comes in the next block, when a change may have come into force.
        will_pend = keys[-1][0] > world.height + 1
        world.keys[seat] = next(key for block, key, _ in reversed(keys) if block <= world.height + 1)
        if change == "rotate" and standing == ACTIVE and not pending:
            world.announce_rotation(seat, new, keyset, blocks=2)
            keys.append((world.height + 2, new, keyset))
        elif change == "recover" and not will_pend and not pending:
            world.replace("recover", seat, new, keyset)
            keys.append((world.height + VETO_BLOCKS, new, keyset))
        elif change == "veto" and will_pend:
            world.veto(seat)
            keys.pop()
        elif (change, standing) in (("suspend", ACTIVE), ("reinstate", SUSPENDED)):
            getattr(world.consortium, change)(seat, sender=world.council)
            standings.append((world.height, SUSPENDED if change == "suspend" else ACTIVE))
        else:
            world.mine_to(world.height + 3)

    held = [(record.fromBlock, record.signer, bytes(record.keysetHash)) for record in world.consortium.keysOf(seat)]
    assert held == [(block, key.address, keccak(keyset)) for block, key, keyset in keys]
    assert [(one.fromBlock, one.standing) for one in world.consortium.standingsOf(seat)] == standings
    for block in range(begins - 1, world.height + VETO_BLOCKS + 1):
        in_force = [(key, keyset) for since, key, keyset in keys if since <= block]
        standing = [what for since, what in standings if since <= block]
        assert world.consortium.standingAt(seat, block) == (standing[-1] if standing else ABSENT)
        speaks = standing and standing[-1] == ACTIVE
        assert world.consortium.signerAt(seat, block) == (in_force[-1][0].address if speaks else ZERO)
        hashed = keccak(in_force[-1][1]) if in_force else bytes(32)
        assert bytes(world.consortium.keysetHashAt(seat, block)) == hashed


def test_signerAt__block_of_a_change__what_the_change_made(bare: World) -> None:
    key = seat_key(9)
    bare.consortium.admit(9, key.address, KEYSET, bare.admission(9, key), sender=bare.council)
    bare.consortium.suspend(9, sender=bare.council)
    assert bare.consortium.signerAt(9, bare.height - 1) == key.address
    assert bare.consortium.signerAt(9, bare.height) == ZERO
