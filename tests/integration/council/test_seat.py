"""A department's own side of the council: its veto, and its agreement to hold a seat or to new keys."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.council import Office, agreement, lead
from tests.support.onchain import VETO_BLOCKS


def test_veto__in_time__change_dropped(office: Office) -> None:
    seat = lead(office)
    office.decide(office.proposed("succeed", agreement(office, "succession", seat)))
    shown = office.done("seat", "show", seat)
    assert "haidian-culture-tourism → haidian-new-department" in shown
    old = office.folder("old", office.consortium.keys[seat])
    office.mine(VETO_BLOCKS - 2)
    office.done("seat", "veto", seat, "--key", old, "--yes")
    office.mine(VETO_BLOCKS)
    after = office.registry().seat(seat)
    assert after.announced is None
    assert after.keyset is not None
    assert after.keyset.id == "haidian-culture-tourism"
    assert after.signer == office.consortium.keys[seat].chain.address


def test_veto__too_late__refused_and_change_in_force(office: Office) -> None:
    seat = lead(office)
    office.decide(office.proposed("recover", agreement(office, "recovery", seat)))
    old = office.folder("old", office.consortium.keys[seat])
    office.mine(VETO_BLOCKS)
    assert "没有待生效的变更" in office.refused(1, "seat", "veto", seat, "--key", old, "--yes")
    assert office.registry().seat(seat).signer != office.consortium.keys[seat].chain.address


def test_veto__last_block_goes_by_before_it_is_mined__refused_by_the_contract(office: Office) -> None:
    seat = lead(office)
    office.decide(office.proposed("recover", agreement(office, "recovery", seat)))
    old = office.folder("old", office.consortium.keys[seat])
    # The next block is the change's first: a veto sent now is mined too late.
    office.mine(VETO_BLOCKS - 1)
    assert "没有待生效" in office.refused(1, "seat", "veto", seat, "--key", old, "--yes")


def test_veto__by_the_new_or_another_key__invalid(office: Office) -> None:
    seat = lead(office)
    office.decide(office.proposed("recover", agreement(office, "recovery", seat)))
    for folder in (office.data_dir / "keys" / "new-recovery", office.folder("other", office.consortium.keys[1])):
        assert "key:" in office.refused(2, "seat", "veto", seat, "--key", folder, "--yes")
    assert office.registry().seat(seat).announced is not None


def test_veto__by_a_suspended_seat__counts(office: Office) -> None:
    seat = lead(office)
    office.decide(office.proposed("suspend", seat))
    office.decide(office.proposed("succeed", agreement(office, "succession", seat)))
    office.done("seat", "veto", seat, "--key", office.folder("old", office.consortium.keys[seat]), "--yes")
    assert office.registry().seat(seat).announced is None


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("endpoint", {"endpoint": "ftp://x"}),
        ("name", {"name": {"zh": "x"}}),
        ("uscc", {"uscc": ""}),
        ("identity", {"identity": "yes"}),
        ("colour", {"colour": "red"}),
    ],
)
def test_agree__faulty_description__invalid_naming_the_field(
    alone: Office, field: str, changes: dict[str, Any]
) -> None:
    out, folder = alone.data_dir / "a.json", alone.data_dir / "keys" / "new"
    said = alone.refused(
        2,
        "seat",
        "agree",
        "admission",
        40,
        "--description",
        alone.description(**changes),
        "--keys",
        folder,
        "--out",
        out,
    )
    assert field in said
    assert not out.exists()


def test_agree__again__the_same_keys(alone: Office) -> None:
    first = json.loads(agreement(alone, "admission", 40).read_text())
    assert json.loads(agreement(alone, "admission", 40).read_text()) == first


def test_agree__identity_seat__its_identity_key_comes_along(alone: Office) -> None:
    identity = alone.consortium.binding.identity
    alone.done("council", "propose", "recover", agreement(alone, "recovery", identity), "--yes")
    announced = alone.registry().seat(identity).announced
    assert announced is not None
    assert announced.keyset is not None
    assert announced.keyset.key("identity")
    ordinary = agreement(alone, "admission", 40)
    assert "identity" not in json.loads(ordinary.read_text())["keyset"]
