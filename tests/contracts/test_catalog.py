"""Catalog: versions, texts, bindings and their retirement. The tree is catalog.tree."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from world import FAR, World, random_bytes32, reverts, seat_key

OTHER = random_bytes32("other version")
TEXTS = random_bytes32("texts")


def silence(world: World, seat: int, how: str) -> None:
    """Takes a seat's voice."""
    getattr(world.consortium, how)(seat, sender=world.council)


# publish


def test_publish__publisher_signed__version_is_there(world: World) -> None:
    [event] = world.publish(5, version=OTHER, scenario="失业登记").events
    assert (event.event_name, bytes(event.version), event.scenario) == ("VersionPublished", OTHER, "失业登记")
    assert (bytes(event.texts), event.publisher) == (TEXTS, 5)
    found = world.catalog.versionOf(OTHER)
    assert (found.scenario, bytes(found.texts), found.revision, found.publisher) == ("失业登记", TEXTS, 0, 5)


def test_publish__published_before__refused(world: World) -> None:
    with reverts("Catalog_AlreadyPublished", version=world.version):
        world.publish(5, scenario="another name")


def test_publish__empty_scenario__refused(world: World) -> None:
    with reverts("Catalog_EmptyScenario"):
        world.publish(5, version=OTHER, scenario="")


@pytest.mark.parametrize("how", ["suspend", "remove"])
def test_publish__publisher_not_active__refused(world: World, how: str) -> None:
    silence(world, 5, how)
    with reverts("Catalog_SeatNotActive", seat=5):
        world.publish(5, version=OTHER)


def test_publish__publisher_never_admitted__refused(world: World) -> None:
    world.keys[99] = seat_key(99)
    with reverts("Catalog_SeatNotActive", seat=99):
        world.publish(99, version=OTHER)


def test_publish__signature_over_something_else__refused(world: World) -> None:
    message = world.publication(5, version=OTHER)
    wrong = [
        world.sign(world.keys[5], world.catalog, "Publication", message | change)
        for change in ({"scenario": "other"}, {"version": TEXTS}, {"texts": OTHER}, {"publisher": 4})
    ]
    wrong += [world.sign(world.keys[4], world.catalog, "Publication", message), b"", b"\xff" * 65]
    wrong += [world.sign(world.keys[5], world.catalog, "Publication", message, chainId=world.chain_id + 1)]
    for signature in wrong:
        with reverts("Catalog_WrongSignature", seat=5):
            world.catalog.publish(*message.values(), signature, sender=world.stranger)


# amendTexts


def amend(world: World, revision: int, texts: bytes = OTHER, publisher: int = 0, by: int = 0) -> Any:
    message = {"version": world.version, "texts": texts, "revision": revision, "publisher": publisher}
    signature = world.sign(world.keys[by], world.catalog, "Texts", message)
    return world.catalog.amendTexts(world.version, texts, revision, signature, sender=world.stranger)


def test_amendTexts__publisher_signed__texts_replaced(world: World) -> None:
    for revision, texts in enumerate([OTHER, TEXTS], 1):
        [event] = amend(world, revision, texts).events
        assert (event.event_name, bytes(event.version)) == ("TextsAmended", world.version)
        assert (bytes(event.texts), event.revision) == (texts, revision)
        found = world.catalog.versionOf(world.version)
        assert (found.scenario, bytes(found.texts), found.revision, found.publisher) == ("gallery", texts, revision, 0)


def test_amendTexts__nobody_published__refused(world: World) -> None:
    with reverts("Catalog_UnknownVersion", version=OTHER):
        world.catalog.amendTexts(OTHER, TEXTS, 1, b"", sender=world.stranger)


@pytest.mark.parametrize("revision", [0, 2, 2**32 - 1])
def test_amendTexts__not_the_next_revision__refused(world: World, revision: int) -> None:
    with reverts("Catalog_WrongRevision", version=world.version, expected=1, given=revision):
        amend(world, revision)


def test_amendTexts__same_signature_again__refused(world: World) -> None:
    amend(world, 1)
    with reverts("Catalog_WrongRevision", version=world.version, expected=2, given=1):
        amend(world, 1)


def test_amendTexts__another_seat_signed__refused(world: World) -> None:
    for publisher, by in ((0, 3), (3, 3)):
        with reverts("Catalog_WrongSignature", seat=0):
            amend(world, 1, publisher=publisher, by=by)


def test_amendTexts__publisher_suspended__refused(world: World) -> None:
    silence(world, 0, "suspend")
    with reverts("Catalog_SeatNotActive", seat=0):
        amend(world, 1)


# bind


def test_bind__every_named_seat_signed__numbered_and_live(world: World) -> None:
    message = world.binding(region=310115, providers=[6, 5, 6, 3])
    signatures = [world.sign(world.keys[seat], world.catalog, "Binding", message) for seat in (0, 2, 3, 4, 5, 6)]
    receipt = world.catalog.bind(tuple(message.values()), signatures, sender=world.stranger)
    [event] = receipt.events
    assert (event.event_name, event.number, bytes(event.version), event.region) == (
        "BindingMade",
        2,
        world.version,
        310115,
    )
    assert world.catalog.bindingCount() == 2
    binding, live = world.catalog.bindingOf(2)
    assert live
    assert tuple(binding) == (world.version, 310115, 2, 0, [3, 4], [6, 5, 6, 3], FAR)
    assert tuple(world.catalog.termsOf(2)) == (1 << 3 | 1 << 4, 3, True, True)


def test_bind__lead_has_the_higher_number__first_approver_leads(world: World) -> None:
    number = world.bind(approvers=[6, 4, 5])
    assert tuple(world.catalog.termsOf(number)) == (1 << 4 | 1 << 5 | 1 << 6, 6, True, True)


def test_bind__no_provider__allowed(world: World) -> None:
    assert world.bind(providers=[]) == 2


def test_bind__first_and_last_seat_numbers__allowed(world: World) -> None:
    world.admit(255)
    number = world.bind(approvers=[255], providers=[0])
    assert tuple(world.catalog.termsOf(number)) == (1 << 255, 255, True, True)


def test_bind__validity_passed__refused(world: World, chain: Any) -> None:
    last = chain.pending_timestamp + 100
    message = world.binding(validUntil=last)
    signatures = [world.sign(world.keys[seat], world.catalog, "Binding", message) for seat in world.named(message)]
    chain.pending_timestamp = last + 1
    with reverts("Catalog_Expired", validUntil=last):
        world.catalog.bind(tuple(message.values()), signatures, sender=world.stranger)


def test_bind__last_second_of_its_validity__made(world: World, chain: Any) -> None:
    last = chain.pending_timestamp + 100
    message = world.binding(validUntil=last)
    signatures = [world.sign(world.keys[seat], world.catalog, "Binding", message) for seat in world.named(message)]
    chain.pending_timestamp = last
    world.catalog.bind(tuple(message.values()), signatures, sender=world.stranger)
    assert world.catalog.bindingCount() == 2


def test_bind__the_very_same_again__refused(world: World) -> None:
    with reverts("Catalog_AlreadyBound", version=world.version, region=110108):
        world.bind()


def test_bind__same_again_after_retirement__refused(world: World) -> None:
    world.retire(1, 5)
    with reverts("Catalog_AlreadyBound", version=world.version, region=110108):
        world.bind()


def test_bind__nobody_published_the_version__refused(world: World) -> None:
    with reverts("Catalog_UnknownVersion", version=OTHER):
        world.bind(version=OTHER)


def test_bind__identity_is_operator__refused(world: World) -> None:
    with reverts("Catalog_IdentityIsOperator", seat=2):
        world.bind(operator=2)


def test_bind__operator_has_the_higher_number__allowed(world: World) -> None:
    assert world.bind(identity=0, operator=2) == 2


def test_bind__no_approver__refused(world: World) -> None:
    with reverts("Catalog_NoApprovers"):
        world.bind(approvers=[])


def test_bind__approver_twice__refused(world: World) -> None:
    with reverts("Catalog_ApproverTwice", seat=3):
        world.bind(approvers=[3, 4, 3])


@pytest.mark.parametrize("given", [0, 5, 7])
def test_bind__not_one_signature_for_each_named_seat__refused(world: World, given: int) -> None:
    message = world.binding(region=2)
    seats = [*world.named(message), 1][:given]
    signatures = [world.sign(world.keys[seat], world.catalog, "Binding", message) for seat in seats]
    with reverts("Catalog_WrongSignatureCount", expected=6, given=given):
        world.catalog.bind(tuple(message.values()), signatures, sender=world.stranger)


@pytest.mark.parametrize("seat", [0, 2, 3, 4, 5, 6])
def test_bind__named_seat_not_active__refused(world: World, seat: int) -> None:
    silence(world, seat, "suspend")
    with reverts("Catalog_SeatNotActive", seat=seat):
        world.bind(region=2)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(
    change=st.sampled_from(
        [
            {"version": OTHER},
            {"region": 3},
            {"identity": 6},
            {"operator": 5},
            {"approvers": [4, 3]},
            {"approvers": [3]},
            {"providers": [6, 5]},
            {"providers": [5, 6, 6]},
            {"validUntil": FAR + 1},
        ]
    ),
    liar=st.sampled_from([0, 2, 3, 4, 5, 6]),
)
def test_bind__one_seat_signed_something_else__refused(world: World, change: dict[str, Any], liar: int) -> None:
    message = world.binding(region=2)
    signatures = [
        world.sign(world.keys[seat], world.catalog, "Binding", message | change if seat == liar else message)
        for seat in world.named(message)
    ]
    with reverts("Catalog_WrongSignature", seat=liar):
        world.catalog.bind(tuple(message.values()), signatures, sender=world.stranger)


def test_bind__signatures_out_of_order__refused(world: World) -> None:
    message = world.binding(region=2)
    seats = [2, 0, *world.named(message)[2:]]
    signatures = [world.sign(world.keys[seat], world.catalog, "Binding", message) for seat in seats]
    with reverts("Catalog_WrongSignature", seat=0):
        world.catalog.bind(tuple(message.values()), signatures, sender=world.stranger)


# retire


@pytest.mark.parametrize("seat", [0, 2, 3, 4, 5, 6])
def test_retire__a_named_seat_signed__closed_to_new_cases(world: World, seat: int) -> None:
    [event] = world.retire(1, seat).events
    assert (event.event_name, event.number, event.seat) == ("BindingRetired", 1, seat)
    assert tuple(world.catalog.termsOf(1)) == (1 << 3 | 1 << 4, 3, True, False)
    binding, live = world.catalog.bindingOf(1)
    assert not live
    assert tuple(binding) == tuple(world.binding().values())


@pytest.mark.parametrize("number", [0, 2, 2**40 - 1])
def test_retire__no_such_binding__refused(world: World, number: int) -> None:
    with reverts("Catalog_UnknownBinding", number=number):
        world.retire(number, 3)


def test_retire__retired_before__refused(world: World) -> None:
    world.retire(1, 3)
    with reverts("Catalog_AlreadyRetired", number=1):
        world.retire(1, 4)


def test_retire__seat_not_named__refused(world: World) -> None:
    with reverts("Catalog_SeatNotNamed", number=1, seat=1):
        world.retire(1, 1)


def test_retire__seat_suspended__refused(world: World) -> None:
    silence(world, 3, "suspend")
    with reverts("Catalog_SeatNotActive", seat=3):
        world.retire(1, 3)


def test_retire__signature_over_something_else__refused(world: World) -> None:
    for key, message in (
        (3, {"binding": 2, "seat": 3}),
        (3, {"binding": 1, "seat": 4}),
        (4, {"binding": 1, "seat": 3}),
    ):
        signature = world.sign(world.keys[key], world.catalog, "Retirement", message)
        with reverts("Catalog_WrongSignature", seat=3):
            world.catalog.retire(1, 3, signature, sender=world.stranger)


# views


def test_views__unknown_version_and_binding__all_zero(bare: World) -> None:
    found = bare.catalog.versionOf(OTHER)
    assert (found.scenario, bytes(found.texts), found.revision, found.publisher) == ("", bytes(32), 0, 0)
    binding, live = bare.catalog.bindingOf(7)
    assert not live
    assert tuple(binding) == (bytes(32), 0, 0, 0, [], [], 0)
    assert tuple(bare.catalog.termsOf(7)) == (0, 0, False, False)
    assert bare.catalog.bindingCount() == 0
    assert bare.catalog.consortium() == bare.consortium.address
