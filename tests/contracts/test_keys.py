"""Consortium: how a seat's keys change, and who can stop it. The tree is consortium.tree."""

from __future__ import annotations

from typing import Any

import pytest
from eth_utils import keccak
from world import (
    ABSENT,
    ACCEPTED,
    ACTIVE,
    ADMISSION,
    APPROVED,
    KEYSET,
    RECOVERY,
    REMOVED,
    ROTATION,
    SUCCESSION,
    SUSPENDED,
    VETO_BLOCKS,
    ZERO,
    World,
    move,
    seat_key,
)

ORIGIN = {"recover": RECOVERY, "succeed": SUCCESSION}
STRUCT = {"recover": "Recovery", "succeed": "Succession"}


# rotate


def test_rotate__both_keys_agree__new_key_in_force_from_the_announced_block(world: World) -> None:
    old, new, keyset = world.keys[3], seat_key(3, 1), b'{"seat":3}'
    receipt = world.announce_rotation(3, new, keyset, blocks=3)
    [event] = receipt.events
    announced = (event.event_name, event.seat, event.change, event.origin, event.fromBlock, event.signer)
    begins = receipt.block_number + 3
    assert announced == ("KeysAnnounced", 3, 1, ROTATION, begins, new.address)
    assert (bytes(event.keysetHash), bytes(event.keyset)) == (keccak(keyset), keyset)
    change, record = world.consortium.announcedOf(3)
    assert (change, tuple(record)) == (1, (begins, new.address, ROTATION, keccak(keyset)))
    assert world.consortium.signerAt(3, begins - 1) == old.address
    assert world.consortium.signerAt(3, begins) == new.address
    world.mine_to(begins - 1)
    assert world.consortium.signerOf(3) == world.consortium.seatOf(3).signer == old.address
    assert bytes(world.consortium.keysetHashOf(3)) == keccak(KEYSET)
    world.mine_to(begins)
    assert world.consortium.signerOf(3) == world.consortium.seatOf(3).signer == new.address
    assert bytes(world.consortium.keysetHashOf(3)) == keccak(keyset)
    assert world.consortium.announcedOf(3)[0] == 0


def test_rotate__same_key_new_keyset__only_the_document_changes(world: World) -> None:
    world.rotate(3, world.keys[3], b'{"endpoint":"elsewhere"}')
    assert world.consortium.signerOf(3) == seat_key(3).address
    assert bytes(world.consortium.keysetHashOf(3)) == keccak(b'{"endpoint":"elsewhere"}')


@pytest.mark.parametrize("taker", ["another seat's key", "the seat's own earlier key", "a vetoed key"])
def test_rotate__key_used_before__refused(world: World, taker: str) -> None:
    key = {
        "another seat's key": seat_key(4),
        "the seat's own earlier key": world.keys[3],
        "a vetoed key": seat_key(77),
    }[taker]
    if taker == "the seat's own earlier key":
        world.rotate(3, seat_key(3, 1))
    elif taker == "a vetoed key":
        world.announce_rotation(3, key, blocks=5)
        world.veto(3)
    with world.refused_by_consortium("Consortium_SignerUsed", signer=key.address):
        world.rotate(3, key)


def test_rotate__empty_keyset__refused(world: World) -> None:
    with world.refused_by_consortium("Consortium_EmptyKeyset", seat=3):
        world.rotate(3, seat_key(3, 1), b"")


@pytest.mark.parametrize("blocks", [0, -1, VETO_BLOCKS + 1])
def test_rotate__block_too_early_or_too_late__refused(world: World, blocks: int) -> None:
    height = world.height + 1
    with world.refused_by_consortium(
        "Consortium_WrongBlock",
        seat=3,
        fromBlock=height + blocks,
        earliest=height + 1,
        latest=height + VETO_BLOCKS,
    ):
        world.announce_rotation(3, seat_key(3, 1), blocks=blocks)


def test_rotate__latest_block__announced(world: World) -> None:
    receipt = world.announce_rotation(3, seat_key(3, 1), blocks=VETO_BLOCKS)
    assert world.consortium.keysOf(3)[-1].fromBlock == receipt.block_number + VETO_BLOCKS


@pytest.mark.parametrize("how", ["rotate", "recover", "succeed"])
def test_rotate__another_change_is_still_to_come__refused(world: World, how: str) -> None:
    if how == "rotate":
        receipt = world.announce_rotation(3, seat_key(3, 1), blocks=2)
    else:
        receipt = world.replace(how, 3, seat_key(3, 1))
    [event] = receipt.events
    with world.refused_by_consortium("Consortium_ChangePending", seat=3, change=1, fromBlock=event.fromBlock):
        world.announce_rotation(3, seat_key(3, 2))
    world.mine_to(event.fromBlock)
    world.keys[3] = seat_key(3, 1)
    assert world.announce_rotation(3, seat_key(3, 2)).events[0].change == 2


@pytest.mark.parametrize("standing", [ABSENT, SUSPENDED, REMOVED])
def test_rotate__seat_not_active__refused(world: World, standing: int) -> None:
    seat = 9 if standing == ABSENT else 3
    world.keys[9] = seat_key(9)
    world.bring(seat, standing)
    with world.refused_by_consortium("Consortium_WrongStanding", seat=seat, standing=standing):
        world.rotate(seat, seat_key(seat, 1))


def test_rotate__old_key_did_not_sign__refused(world: World) -> None:
    old, new, block = world.keys[3], seat_key(3, 1), world.height + 15
    good = world.rotation(new, 3, new.address, block, 1)
    wrong = [
        good,
        world.rotation(old, 3, new.address, block, 2),
        world.rotation(old, 3, new.address, block + 1, 1),
        world.rotation(old, 4, new.address, block, 1),
        world.rotation(old, 3, old.address, block, 1),
        world.rotation(old, 3, new.address, block, 1, b"{}"),
        world.rotation(old, 3, new.address, block, 1, chainId=world.chain_id + 1),
        world.agreement("Recovery", old, 3, 1),
        b"",
    ]
    for signature in wrong:
        with world.refused_by_consortium("Consortium_WrongSignature", seat=3, signer=old.address):
            world.consortium.rotate(3, new.address, KEYSET, block, signature, good, sender=world.stranger)


def test_rotate__new_key_did_not_sign__refused(world: World) -> None:
    old, new, block = world.keys[3], seat_key(3, 1), world.height + 15
    good = world.rotation(old, 3, new.address, block, 1)
    for signature in (good, world.rotation(new, 3, new.address, block, 0), b"\x1b" * 65):
        with world.refused_by_consortium("Consortium_WrongSignature", seat=3, signer=new.address):
            world.consortium.rotate(3, new.address, KEYSET, block, good, signature, sender=world.stranger)


def test_rotate__same_signatures_after_a_veto__refused(world: World) -> None:
    old, keyset, block = world.keys[3], b'{"once":true}', world.height + VETO_BLOCKS
    signature = world.rotation(old, 3, old.address, block, 1, keyset)
    world.consortium.rotate(3, old.address, keyset, block, signature, signature, sender=world.stranger)
    world.veto(3)
    with world.refused_by_consortium("Consortium_WrongSignature", seat=3, signer=old.address):
        world.consortium.rotate(3, old.address, keyset, block, signature, signature, sender=world.stranger)


# recover, succeed


@pytest.mark.parametrize("how", STRUCT)
@pytest.mark.parametrize("standing", [ACTIVE, SUSPENDED])
def test_replace__council_and_new_key_agree__in_force_after_the_delay(world: World, how: str, standing: int) -> None:
    old, new, keyset = world.keys[3], seat_key(3, 1), b'{"seat":3}'
    world.bring(3, standing)
    receipt = world.replace(how, 3, new, keyset)
    [event] = receipt.events
    begins = receipt.block_number + VETO_BLOCKS
    announced = (event.event_name, event.seat, event.change, event.origin, event.fromBlock, event.signer)
    assert announced == ("KeysAnnounced", 3, 1, ORIGIN[how], begins, new.address)
    assert (bytes(event.keysetHash), bytes(event.keyset)) == (keccak(keyset), keyset)
    world.mine_to(begins - 1)
    assert world.consortium.seatOf(3).signer == old.address
    world.mine_to(begins)
    record = world.consortium.seatOf(3)
    assert (record.signer, record.standing, bytes(record.keysetHash)) == (new.address, standing, keccak(keyset))
    assert world.consortium.signerOf(3) == (new.address if standing == ACTIVE else ZERO)
    assert [keys.origin for keys in world.consortium.keysOf(3)] == [ADMISSION, ORIGIN[how]]


def test_succeed__open_case_of_the_seat__the_successor_decides_it(world: World) -> None:
    accepted = move("open", ACCEPTED)
    assert world.settle([accepted], [world.sheet(3, [accepted])]).settled
    [event] = world.replace("succeed", 3, seat_key(3, 1)).events
    world.mine_to(event.fromBlock)
    decided = move("open", APPROVED, 2)
    before = [world.sheet(3, [decided]), world.sheet(4, [decided])]
    assert world.settle([decided], before).reasons == ["NotSigned"]
    world.keys[3] = seat_key(3, 1)
    after = [world.sheet(3, [decided]), world.sheet(4, [decided])]
    assert world.settle([decided], after).settled == [decided.tuple]


@pytest.mark.parametrize("how", STRUCT)
def test_replace__sender_is_not_the_council__refused(world: World, how: str) -> None:
    world.council, council = world.stranger, world.council
    with world.refused_by_consortium("OwnableUnauthorizedAccount", account=world.stranger.address):
        world.replace(how, 3, seat_key(3, 1))
    assert council != world.stranger


@pytest.mark.parametrize("how", STRUCT)
@pytest.mark.parametrize("standing", [ABSENT, REMOVED])
def test_replace__seat_absent_or_removed__refused(world: World, how: str, standing: int) -> None:
    seat = 9 if standing == ABSENT else 3
    world.bring(seat, standing)
    with world.refused_by_consortium("Consortium_WrongStanding", seat=seat, standing=standing):
        world.replace(how, seat, seat_key(seat, 1))


@pytest.mark.parametrize("how", STRUCT)
def test_replace__another_change_is_still_to_come__refused(world: World, how: str) -> None:
    [event] = world.announce_rotation(3, seat_key(3, 1), blocks=5).events
    with world.refused_by_consortium("Consortium_ChangePending", seat=3, change=1, fromBlock=event.fromBlock):
        world.replace(how, 3, seat_key(3, 2))


@pytest.mark.parametrize("how", STRUCT)
@pytest.mark.parametrize("key", [seat_key(3), seat_key(4)], ids=["the present key", "another seat's key"])
def test_replace__key_used_before__refused(world: World, how: str, key: Any) -> None:
    with world.refused_by_consortium("Consortium_SignerUsed", signer=key.address):
        world.replace(how, 3, key)


@pytest.mark.parametrize("how", STRUCT)
def test_replace__empty_keyset__refused(world: World, how: str) -> None:
    with world.refused_by_consortium("Consortium_EmptyKeyset", seat=3):
        world.replace(how, 3, seat_key(3, 1), b"")


@pytest.mark.parametrize("how", STRUCT)
def test_replace__new_key_did_not_sign_this__refused(world: World, how: str) -> None:
    new, other = seat_key(3, 1), {"recover": "Succession", "succeed": "Recovery"}[how]
    wrong = [
        world.agreement(other, new, 3, 1),
        world.agreement(STRUCT[how], new, 4, 1),
        world.agreement(STRUCT[how], new, 3, 2),
        world.agreement(STRUCT[how], new, 3, 1, b"{}"),
        world.agreement(STRUCT[how], new, 3, 1, chainId=world.chain_id + 1),
        world.agreement(STRUCT[how], world.keys[3], 3, 1),
        b"",
    ]
    for signature in wrong:
        with world.refused_by_consortium("Consortium_WrongSignature", seat=3, signer=new.address):
            getattr(world.consortium, how)(3, new.address, KEYSET, signature, sender=world.council)


# veto, cancel


@pytest.mark.parametrize("how", ["rotate", "recover", "succeed"])
@pytest.mark.parametrize("suspended", [False, True])
def test_veto__key_in_force_signed__the_change_never_comes(world: World, how: str, suspended: bool) -> None:
    receipt = (
        world.announce_rotation(3, seat_key(3, 1), blocks=9)
        if how == "rotate"
        else world.replace(how, 3, seat_key(3, 1))
    )
    if suspended:
        world.consortium.suspend(3, sender=world.council)
    begins = receipt.events[0].fromBlock
    world.mine_to(begins - 2)
    [event] = world.veto(3).events
    assert (event.event_name, event.seat, event.change) == ("KeysVetoed", 3, 1)
    assert world.consortium.announcedOf(3)[0] == 0
    world.mine_to(begins + 1)
    assert world.consortium.seatOf(3).signer == seat_key(3).address
    assert len(world.consortium.keysOf(3)) == 1
    assert world.consortium.changeCount(3) == 1


@pytest.mark.parametrize("call", ["veto", "cancel"])
def test_veto__block_has_come__too_late(world: World, call: str) -> None:
    [event] = world.replace("recover", 3, seat_key(3, 1)).events
    world.mine_to(event.fromBlock - 1)
    with world.refused_by_consortium("Consortium_NoSuchChange", seat=3, change=1):
        if call == "veto":
            world.veto(3)
        else:
            world.consortium.cancel(3, 1, sender=world.council)


@pytest.mark.parametrize("call", ["veto", "cancel"])
@pytest.mark.parametrize("change", [0, 2])
def test_veto__no_change_of_that_number__refused(world: World, call: str, change: int) -> None:
    world.replace("recover", 3, seat_key(3, 1))
    with world.refused_by_consortium("Consortium_NoSuchChange", seat=3, change=change):
        if call == "veto":
            signature = world.vetoed(world.keys[3], 3, change)
            world.consortium.veto(3, change, signature, sender=world.stranger)
        else:
            world.consortium.cancel(3, change, sender=world.council)
    with world.refused_by_consortium("Consortium_NoSuchChange", seat=4, change=0):
        world.consortium.cancel(4, 0, sender=world.council)


def test_veto__seat_was_removed__refused(world: World) -> None:
    world.replace("recover", 3, seat_key(3, 1))
    world.consortium.remove(3, sender=world.council)
    with world.refused_by_consortium("Consortium_WrongStanding", seat=3, standing=REMOVED):
        world.veto(3)


def test_veto__key_in_force_did_not_sign_this__refused(world: World) -> None:
    old, new = world.keys[3], seat_key(3, 1)
    world.replace("recover", 3, new)
    wrong = [
        world.vetoed(new, 3, 1),
        world.vetoed(old, 4, 1),
        world.vetoed(old, 3, 2),
        world.vetoed(old, 3, 1, chainId=world.chain_id + 1),
        world.vetoed(seat_key(4), 3, 1),
        b"",
    ]
    for signature in wrong:
        with world.refused_by_consortium("Consortium_WrongSignature", seat=3, signer=old.address):
            world.consortium.veto(3, 1, signature, sender=world.stranger)


def test_veto__same_signature_on_the_next_change__refused(world: World) -> None:
    world.replace("recover", 3, seat_key(3, 1))
    signature = world.vetoed(world.keys[3], 3, 1)
    world.consortium.veto(3, 1, signature, sender=world.stranger)
    world.replace("recover", 3, seat_key(3, 2))
    with world.refused_by_consortium("Consortium_NoSuchChange", seat=3, change=1):
        world.consortium.veto(3, 1, signature, sender=world.stranger)
    with world.refused_by_consortium("Consortium_WrongSignature", seat=3, signer=seat_key(3).address):
        world.consortium.veto(3, 2, signature, sender=world.stranger)


@pytest.mark.parametrize("how", STRUCT)
def test_cancel__council_takes_its_own_change_back__it_never_comes(world: World, how: str) -> None:
    [announced] = world.replace(how, 3, seat_key(3, 1)).events
    [event] = world.consortium.cancel(3, 1, sender=world.council).events
    assert (event.event_name, event.seat, event.change) == ("KeysCancelled", 3, 1)
    world.mine_to(announced.fromBlock)
    assert world.consortium.signerOf(3) == seat_key(3).address
    assert world.replace(how, 3, seat_key(3, 2)).events[0].change == 2


def test_cancel__seat_s_own_rotation__refused(world: World) -> None:
    world.announce_rotation(3, seat_key(3, 1), blocks=5)
    with world.refused_by_consortium("Consortium_NotTheCouncils", seat=3, change=1):
        world.consortium.cancel(3, 1, sender=world.council)


def test_cancel__sender_is_not_the_council__refused(world: World) -> None:
    world.replace("recover", 3, seat_key(3, 1))
    with world.refused_by_consortium("OwnableUnauthorizedAccount", account=world.stranger.address):
        world.consortium.cancel(3, 1, sender=world.stranger)
