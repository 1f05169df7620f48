"""The council on a real chain: a real 2-of-3 Safe, or one account, by the commands that its members type."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.council.decisions import council_of
from orchestrator.council.proposals import read_proposal, write_proposal
from orchestrator.council.refusals import WORDS
from orchestrator.council.registry import Origin, Standing
from orchestrator.domain.errors import Invalid
from orchestrator.ledger.accounts import chain_account
from orchestrator.ledger.artifacts import load_artifact
from tests.support.council import Office, agreement, lead
from tests.support.onchain import VETO_BLOCKS

# Every act, by the Safe


def test_standing__suspended_reinstated_removed_by_the_safe__as_decided(office: Office) -> None:
    seat = lead(office)
    for act, standing in (
        ("suspend", Standing.SUSPENDED),
        ("reinstate", Standing.ACTIVE),
        ("remove", Standing.REMOVED),
    ):
        said = office.decide(office.proposed(act, seat))
        assert "已于区块" in said
        assert office.registry().seat(seat).standing is standing
        assert office.view_seat(seat).active == (standing is Standing.ACTIVE)
    office.refused(1, "council", "propose", "reinstate", seat)


def test_admit__new_department_agreed__holds_the_seat(office: Office) -> None:
    file = office.proposed("admit", agreement(office, "admission", 40))
    assert "海淀区新部门" in office.done("council", "show", file)
    office.decide(file)
    seat = office.registry().seat(40)
    assert (seat.standing, seat.keyset and seat.keyset.id) == (Standing.ACTIVE, "haidian-new-department")
    assert office.view_seat(40).signer == seat.signer


def test_recover__lost_key__new_one_in_force_after_the_delay_only(office: Office) -> None:
    seat = lead(office)
    before = office.registry().seat(seat)
    office.decide(office.proposed("recover", agreement(office, "recovery", seat)))
    registry = office.registry()
    announced = registry.seat(seat).announced
    assert announced is not None
    assert (announced.change, announced.origin) == (1, Origin.RECOVERY)
    assert announced.from_block == registry.block + VETO_BLOCKS
    assert registry.seat(seat).signer == before.signer
    listed = office.done("council", "seats")
    assert "补发" in listed
    assert f"可否决 to veto: {VETO_BLOCKS - 1}" in listed
    office.mine(VETO_BLOCKS - 1)
    assert office.registry().seat(seat).signer == before.signer
    office.mine(1)
    after = office.registry().seat(seat)
    assert after.signer == announced.signer
    assert after.announced is None
    assert office.view_seat(seat).keyset == announced.keyset


def test_succeed__other_department__holds_number_and_bindings(office: Office) -> None:
    seat = lead(office)
    file = office.proposed("succeed", agreement(office, "succession", seat))
    shown = office.done("council", "show", file)
    assert "海淀区文化和旅游局(haidian-culture-tourism" in shown
    assert "海淀区新部门(haidian-new-department" in shown
    assert "open-gallery" in shown
    office.decide(file)
    office.mine(VETO_BLOCKS)
    registry = office.registry()
    keyset = registry.seat(seat).keyset
    assert keyset is not None
    assert keyset.id == "haidian-new-department"
    assert len(registry.named(seat)) == 1
    view = office.view_seat(seat)
    assert view.active
    assert [past.keyset.id for past in view.past] == ["haidian-culture-tourism"]


def test_cancel__announced_by_the_council__dropped_and_its_number_not_used_again(office: Office) -> None:
    seat = lead(office)
    before = office.registry().seat(seat).signer
    office.decide(office.proposed("recover", agreement(office, "recovery", seat)))
    office.decide(office.proposed("cancel", seat))
    office.mine(VETO_BLOCKS)
    after = office.registry().seat(seat)
    assert (after.signer, after.announced, after.changes) == (before, None, 1)
    office.refused(1, "council", "propose", "cancel", seat)


def test_hand_over__safe_to_safe__both_ends_decide(office: Office) -> None:
    old = office.registry().owner
    first = list(office.members)
    new = office.safe(threshold=3)
    second, office.members[:] = list(office.members), first
    offer = office.proposed("hand-over", new)
    assert "3 名成员中须 3 名签署" in office.done("council", "show", offer)
    office.decide(offer)
    registry = office.registry()
    assert (registry.owner, registry.offered_to) == (old, new)
    pending = office.proposed("suspend", lead(office))
    office.members[:] = second
    file = office.proposed("take-over")
    office.refused(1, "council", "execute", file)
    office.decide(file, (0, 1, 2))
    assert office.registry().owner == new
    said = office.refused(1, "council", "sign", pending, "--key", first[0], "--yes")
    assert f"不是该联盟的理事会(现为 {new})" in said
    office.decide(office.proposed("suspend", lead(office)), (0, 1, 2))


def test_hand_over__withdrawn__nobody_can_take_over(office: Office) -> None:
    old, new = office.registry().owner, office.account("heir")[1]
    office.decide(office.proposed("hand-over", new))
    office.decide(office.proposed("hand-over", "--withdraw"))
    assert (office.registry().owner, office.registry().offered_to) == (old, None)
    office.refused(1, "council", "propose", "take-over")
    office.refused(1, "council", "propose", "hand-over", "--withdraw")


# The same by one account


def test_propose__council_is_one_account__acts_at_once_and_by_the_same_commands(alone: Office) -> None:
    seat = lead(alone)
    alone.done("council", "propose", "suspend", seat, "--yes")
    assert alone.registry().seat(seat).standing is Standing.SUSPENDED
    alone.done("council", "propose", "recover", agreement(alone, "recovery", seat), "--yes")
    alone.done("council", "propose", "cancel", seat, "--yes")
    alone.done("council", "propose", "reinstate", seat, "--yes")
    alone.done("council", "propose", "succeed", agreement(alone, "succession", seat), "--yes")
    alone.done("council", "propose", "admit", agreement(alone, "admission", 41, id="haidian-other"), "--yes")
    folder, heir = alone.account("heir")
    assert "单一账户" in alone.done("council", "propose", "hand-over", heir, "--yes")
    alone.done("council", "propose", "take-over", "--key", folder, "--yes")
    alone.done("council", "propose", "remove", 41, "--key", folder, "--yes")
    registry = alone.registry()
    assert registry.owner == heir
    assert registry.seat(41).standing is Standing.REMOVED
    assert "账户" in alone.done("council", "members")


def test_propose__one_account_with_another_key_or_out__invalid(alone: Office) -> None:
    seat = lead(alone)
    said = alone.refused(2, "council", "propose", "suspend", seat, "--key", alone.account("stranger")[0], "--yes")
    assert "key:" in said
    assert "out:" in alone.refused(2, "council", "propose", "suspend", seat, "--out", alone.data_dir / "p.json")
    assert alone.registry().seat(seat).standing is Standing.ACTIVE


def test_propose__not_confirmed__nothing_done(alone: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("typer.confirm", lambda *_, **__: False)
    said = alone.run("council", "propose", "suspend", lead(alone))
    assert said.code == 1
    assert "什么也没做" in said.text
    assert alone.registry().seat(lead(alone)).standing is Standing.ACTIVE


# Dry runs


def test_propose__dry_run_or_no_file__effect_shown_and_nothing_changed(office: Office) -> None:
    nonce = json.loads(office.proposed("suspend", lead(office)).read_text())["nonce"]
    for extra in (["--dry-run"], []):
        said = office.done("council", "propose", "suspend", lead(office), *extra)
        assert "在用 → 暂停" in said
        assert "牵头审批(1 个落地)" in said
    assert office.registry().seat(lead(office)).standing is Standing.ACTIVE
    assert json.loads(office.proposed("suspend", lead(office)).read_text())["nonce"] == nonce


def test_propose__contract_would_refuse__nobody_is_asked_to_sign(office: Office) -> None:
    seat, out = lead(office), office.data_dir / "p.json"
    office.refused(1, "council", "propose", "reinstate", seat, "--out", out)
    office.refused(2, "council", "propose", "suspend", 200, "--out", out)
    file = agreement(office, "admission", 40)
    office.decide(office.proposed("admit", file))
    assert "席位号 40 已被使用过" in office.refused(1, "council", "propose", "admit", file, "--out", out)
    assert not out.exists()


def test_propose__agreement_for_something_else__invalid(office: Office) -> None:
    seat = lead(office)
    file = agreement(office, "recovery", seat)
    assert "kind:" in office.refused(2, "council", "propose", "succeed", file)
    office.decide(office.proposed("recover", file))
    office.decide(office.proposed("cancel", seat))
    assert "change:" in office.refused(2, "council", "propose", "recover", file)
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | {"chain_id": content["chain_id"] + 1}))
    assert "signature:" in office.refused(2, "council", "propose", "recover", file)


# Signing


def test_sign__copies_apart_then_merged__both_count(office: Office) -> None:
    file = office.proposed("suspend", lead(office))
    copy = office.data_dir / "copy.json"
    shutil.copy(file, copy)
    office.done("council", "sign", file, "--key", office.members[0], "--yes")
    office.done("council", "sign", copy, "--key", office.members[2], "--yes")
    assert "1/2" in office.done("council", "show", file)
    office.done("council", "merge", file, copy)
    assert "2/2" in office.done("council", "show", file)
    office.done("council", "execute", file)
    assert office.registry().seat(lead(office)).standing is Standing.SUSPENDED
    said = office.done("council", "sign", copy, "--key", office.members[1], "--yes")
    assert "已于区块" in said


def test_sign__twice_by_one_member__counts_once(office: Office) -> None:
    file = office.proposed("suspend", lead(office))
    for _ in range(2):
        said = office.done("council", "sign", file, "--key", office.members[0], "--yes")
    assert "已签过" in said
    assert len(json.loads(file.read_text())["signatures"]) == 1
    said = office.refused(1, "council", "execute", file)
    assert "还差 1 个签名" in said
    missing = office.account("member-1")[1]
    assert missing in said


def test_sign__no_member__invalid_and_file_untouched(office: Office) -> None:
    file = office.proposed("suspend", lead(office))
    before = file.read_bytes()
    said = office.refused(2, "council", "sign", file, "--key", office.account("stranger")[0], "--yes")
    assert "不是该 Safe 的成员" in said
    assert "chain.json" in office.refused(2, "council", "sign", file, "--key", office.data_dir / "none", "--yes")
    assert file.read_bytes() == before


def test_show__words_or_call_changed__refused_before_anybody_signs(office: Office) -> None:
    file = office.proposed("suspend", lead(office))
    content = json.loads(file.read_text())
    content["effect"] = {"zh": "恢复席位 9", "en": "reinstate seat 9"}
    file.write_text(json.dumps(content))
    for command in (["show", file], ["sign", file, "--key", office.members[0], "--yes"], ["execute", file]):
        assert "effect" in office.refused(2, "council", *command)


def test_execute__signature_of_a_stranger_in_the_file__does_not_count(office: Office) -> None:
    file = office.proposed("suspend", lead(office))
    office.done("council", "sign", file, "--key", office.members[0], "--yes")
    stranger = chain_account(office.data_dir / "keys" / "stranger", office.passphrase())
    write_proposal(file, read_proposal(file).signed(stranger))
    assert "不是成员,签名不计" in office.done("council", "show", file)
    assert "还差 1 个签名" in office.refused(1, "council", "execute", file)
    office.done("council", "sign", file, "--key", office.members[1], "--yes")
    office.done("council", "execute", file)
    assert office.registry().seat(lead(office)).standing is Standing.SUSPENDED


# Numbers, chains, other Safes


def test_execute__again__says_when_it_was_done(office: Office) -> None:
    file = office.proposed("suspend", lead(office))
    first = office.decide(file)
    again = office.done("council", "execute", file)
    assert first.splitlines()[-1] == again.splitlines()[-1]
    assert office.registry().seat(lead(office)).standing is Standing.SUSPENDED


def test_execute__number_went_to_another_proposal__explained(office: Office) -> None:
    stale, other = office.proposed("suspend", lead(office)), office.proposed("remove", 1)
    office.done("council", "sign", stale, "--key", office.members[0], "--yes")
    office.decide(other)
    for command in (["execute", stale], ["sign", stale, "--key", office.members[1], "--yes"]):
        assert "已被另一提案用掉" in office.refused(1, "council", *command)
    assert "propose anew" in office.done("council", "show", stale)


def test_execute__queued_behind_another__in_its_turn(office: Office) -> None:
    first = office.proposed("suspend", lead(office))
    number = json.loads(first.read_text())["nonce"]
    second = office.proposed("suspend", 1, "--nonce", number + 1)
    for member in office.members[:2]:
        office.done("council", "sign", second, "--key", member, "--yes")
    assert "编号较小的提案先执行" in office.refused(1, "council", "execute", second)
    office.decide(first)
    office.done("council", "execute", second)
    assert office.registry().seat(1).standing is Standing.SUSPENDED
    assert "nonce:" in office.refused(
        2, "council", "propose", "suspend", 2, "--nonce", number, "--out", office.data_dir / "p.json"
    )


def test_show__another_chain_or_consortium__invalid(office: Office, alone: Office) -> None:
    file = office.proposed("suspend", lead(office))
    assert "chain_id:" in alone.refused(2, "council", "show", file)
    assert "node:" in replace(alone, node_url=office.node_url).refused(2, "council", "seats")
    registry = replace(office.registry(), consortium=office.deployment.catalog)
    with pytest.raises(Invalid, match="另一个联盟"):
        council_of(None, read_proposal(file), registry)  # type: ignore[arg-type]


def test_propose__out_exists__not_overwritten(office: Office) -> None:
    file = office.proposed("suspend", lead(office))
    before = file.read_bytes()
    assert "out:" in office.refused(2, "council", "propose", "remove", 1, "--out", file)
    assert file.read_bytes() == before


def test_execute__safe_lost_the_council_meanwhile__explained(office: Office) -> None:
    file = office.proposed("suspend", lead(office))
    for member in office.members[:2]:
        office.done("council", "sign", file, "--key", member, "--yes")
    folder, heir = office.account("heir")
    number = json.loads(file.read_text())["nonce"]
    handing = office.proposed("hand-over", heir)
    assert json.loads(handing.read_text())["nonce"] == number
    office.decide(handing)
    office.done("council", "propose", "take-over", "--key", folder, "--yes")
    office.refused(1, "council", "execute", file)
    assert office.registry().seat(lead(office)).standing is Standing.ACTIVE


# Making a Safe


def test_create__again__the_same_safe(alone: Office) -> None:
    owners = [part for n in range(3) for part in ("--owner", alone.account(f"o{n}")[1])]
    first = alone.done("council", "create", *owners, "--threshold", 2)
    assert alone.done("council", "create", *owners, "--threshold", 2) == first
    other = alone.done("council", "create", *owners, "--threshold", 2, "--salt", 1)
    assert other.splitlines()[-1] != first.splitlines()[-1]


@pytest.mark.parametrize(
    ("field", "arguments"),
    [
        ("owner:", ["--owner", "0x1", "--threshold", 1]),
        ("owner:", ["--owner", "0x" + "00" * 20, "--threshold", 1]),
        ("owner:", ["--owner", "0x" + "11" * 20, "--owner", "0x" + "11" * 20, "--threshold", 1]),
        (
            "owner:",
            ["--owner", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD".swapcase().replace("0X", "0x"), "--threshold", 1],
        ),
        ("threshold:", ["--owner", "0x" + "11" * 20, "--threshold", 2]),
        ("threshold:", ["--owner", "0x" + "11" * 20, "--threshold", 0]),
    ],
)
def test_create__owners_or_threshold_that_no_safe_takes__invalid(
    alone: Office, field: str, arguments: list[Any]
) -> None:
    assert field in alone.refused(2, "council", "create", *arguments)


@pytest.mark.parametrize("arguments", [[], ["0x12"], ["0x" + "00" * 20], ["0x" + "11" * 20, "--withdraw"]])
def test_hand_over__no_address_or_a_wrong_one__invalid(alone: Office, arguments: list[str]) -> None:
    assert "to:" in alone.refused(2, "council", "propose", "hand-over", *arguments)


def test_hand_over__to_a_contract_that_could_not_take_over__refused(alone: Office) -> None:
    assert "不是 Safe" in alone.refused(1, "council", "propose", "hand-over", alone.deployment.catalog, "--yes")
    assert "现理事会" in alone.refused(1, "council", "propose", "hand-over", alone.registry().owner, "--yes")


def test_succeed__id_of_another_seat__refused_before_it_leaves_the_seat_without_keys(office: Office) -> None:
    file = agreement(office, "succession", lead(office), id="beijing-public-security")
    assert "没有可用密钥" in office.refused(1, "council", "propose", "succeed", file)


def test_refusals__every_error_of_the_council_s_functions__has_words() -> None:
    errors = {entry["name"] for entry in load_artifact("Consortium").abi if entry["type"] == "error"}
    ours = {name for name in errors if name.startswith("Consortium_")}
    assert ours - set(WORDS) == {"Consortium_WrongBlock", "Consortium_NoVetoBlocks"}
    assert set(WORDS) <= errors
