"""Consortium: admission, rotation, standing and history. The tree is consortium.tree."""

from __future__ import annotations

from typing import Any

import ape
import pytest
from eth_utils import keccak
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from world import ACCEPTED, APPROVED, KEYSET, VETO_BLOCKS, World, container, move, seat_key

ABSENT, ACTIVE, SUSPENDED, REMOVED = range(4)
ADMISSION, ROTATION, RECOVERY, SUCCESSION = range(4)
ORIGIN = {"recover": RECOVERY, "succeed": SUCCESSION}
STRUCT = {"recover": "Recovery", "succeed": "Succession"}
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
    with refuses(world, "Consortium_SignerUsed", signer=key.address):
        world.rotate(3, key)


def test_rotate__empty_keyset__refused(world: World) -> None:
    with refuses(world, "Consortium_EmptyKeyset", seat=3):
        world.rotate(3, seat_key(3, 1), b"")


@pytest.mark.parametrize("blocks", [0, -1, VETO_BLOCKS + 1])
def test_rotate__block_too_early_or_too_late__refused(world: World, blocks: int) -> None:
    height = world.height + 1
    with refuses(
        world,
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
    with refuses(world, "Consortium_ChangePending", seat=3, change=1, fromBlock=event.fromBlock):
        world.announce_rotation(3, seat_key(3, 2))
    world.mine_to(event.fromBlock)
    world.keys[3] = seat_key(3, 1)
    assert world.announce_rotation(3, seat_key(3, 2)).events[0].change == 2


@pytest.mark.parametrize("standing", [ABSENT, SUSPENDED, REMOVED])
def test_rotate__seat_not_active__refused(world: World, standing: int) -> None:
    seat = 9 if standing == ABSENT else 3
    world.keys[9] = seat_key(9)
    world.bring(seat, standing)
    with refuses(world, "Consortium_WrongStanding", seat=seat, standing=standing):
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
        with refuses(world, "Consortium_WrongSignature", seat=3, signer=old.address):
            world.consortium.rotate(3, new.address, KEYSET, block, signature, good, sender=world.stranger)


def test_rotate__new_key_did_not_sign__refused(world: World) -> None:
    old, new, block = world.keys[3], seat_key(3, 1), world.height + 15
    good = world.rotation(old, 3, new.address, block, 1)
    for signature in (good, world.rotation(new, 3, new.address, block, 0), b"\x1b" * 65):
        with refuses(world, "Consortium_WrongSignature", seat=3, signer=new.address):
            world.consortium.rotate(3, new.address, KEYSET, block, good, signature, sender=world.stranger)


def test_rotate__same_signatures_after_a_veto__refused(world: World) -> None:
    old, keyset, block = world.keys[3], b'{"once":true}', world.height + VETO_BLOCKS
    signature = world.rotation(old, 3, old.address, block, 1, keyset)
    world.consortium.rotate(3, old.address, keyset, block, signature, signature, sender=world.stranger)
    world.veto(3)
    with refuses(world, "Consortium_WrongSignature", seat=3, signer=old.address):
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
    with refuses(world, "OwnableUnauthorizedAccount", account=world.stranger.address):
        world.replace(how, 3, seat_key(3, 1))
    assert council != world.stranger


@pytest.mark.parametrize("how", STRUCT)
@pytest.mark.parametrize("standing", [ABSENT, REMOVED])
def test_replace__seat_absent_or_removed__refused(world: World, how: str, standing: int) -> None:
    seat = 9 if standing == ABSENT else 3
    world.bring(seat, standing)
    with refuses(world, "Consortium_WrongStanding", seat=seat, standing=standing):
        world.replace(how, seat, seat_key(seat, 1))


@pytest.mark.parametrize("how", STRUCT)
def test_replace__another_change_is_still_to_come__refused(world: World, how: str) -> None:
    [event] = world.announce_rotation(3, seat_key(3, 1), blocks=5).events
    with refuses(world, "Consortium_ChangePending", seat=3, change=1, fromBlock=event.fromBlock):
        world.replace(how, 3, seat_key(3, 2))


@pytest.mark.parametrize("how", STRUCT)
@pytest.mark.parametrize("key", [seat_key(3), seat_key(4)], ids=["the present key", "another seat's key"])
def test_replace__key_used_before__refused(world: World, how: str, key: Any) -> None:
    with refuses(world, "Consortium_SignerUsed", signer=key.address):
        world.replace(how, 3, key)


@pytest.mark.parametrize("how", STRUCT)
def test_replace__empty_keyset__refused(world: World, how: str) -> None:
    with refuses(world, "Consortium_EmptyKeyset", seat=3):
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
        with refuses(world, "Consortium_WrongSignature", seat=3, signer=new.address):
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
    with refuses(world, "Consortium_NoSuchChange", seat=3, change=1):
        if call == "veto":
            world.veto(3)
        else:
            world.consortium.cancel(3, 1, sender=world.council)


@pytest.mark.parametrize("call", ["veto", "cancel"])
@pytest.mark.parametrize("change", [0, 2])
def test_veto__no_change_of_that_number__refused(world: World, call: str, change: int) -> None:
    world.replace("recover", 3, seat_key(3, 1))
    with refuses(world, "Consortium_NoSuchChange", seat=3, change=change):
        if call == "veto":
            signature = world.vetoed(world.keys[3], 3, change)
            world.consortium.veto(3, change, signature, sender=world.stranger)
        else:
            world.consortium.cancel(3, change, sender=world.council)
    with refuses(world, "Consortium_NoSuchChange", seat=4, change=0):
        world.consortium.cancel(4, 0, sender=world.council)


def test_veto__seat_was_removed__refused(world: World) -> None:
    world.replace("recover", 3, seat_key(3, 1))
    world.consortium.remove(3, sender=world.council)
    with refuses(world, "Consortium_WrongStanding", seat=3, standing=REMOVED):
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
        with refuses(world, "Consortium_WrongSignature", seat=3, signer=old.address):
            world.consortium.veto(3, 1, signature, sender=world.stranger)


def test_veto__same_signature_on_the_next_change__refused(world: World) -> None:
    world.replace("recover", 3, seat_key(3, 1))
    signature = world.vetoed(world.keys[3], 3, 1)
    world.consortium.veto(3, 1, signature, sender=world.stranger)
    world.replace("recover", 3, seat_key(3, 2))
    with refuses(world, "Consortium_NoSuchChange", seat=3, change=1):
        world.consortium.veto(3, 1, signature, sender=world.stranger)
    with refuses(world, "Consortium_WrongSignature", seat=3, signer=seat_key(3).address):
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
    with refuses(world, "Consortium_NotTheCouncils", seat=3, change=1):
        world.consortium.cancel(3, 1, sender=world.council)


def test_cancel__sender_is_not_the_council__refused(world: World) -> None:
    world.replace("recover", 3, seat_key(3, 1))
    with refuses(world, "OwnableUnauthorizedAccount", account=world.stranger.address):
        world.consortium.cancel(3, 1, sender=world.stranger)


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


def test_renounceOwnership__by_the_council__refused(world: World) -> None:
    with refuses(world, "Consortium_CouncilNeeded"):
        world.consortium.renounceOwnership(sender=world.council)
    assert world.consortium.owner() == world.council.address


def test_renounceOwnership__sender_is_not_the_council__refused(world: World) -> None:
    with refuses(world, "OwnableUnauthorizedAccount", account=world.stranger.address):
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
