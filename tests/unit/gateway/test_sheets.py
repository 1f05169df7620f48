"""Sheets: one outcome of each case and number, signed only when everything fits, and never a second one while it can land."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.domain.canonical import canonical, from_hex, to_hex
from orchestrator.domain.case import Status
from orchestrator.domain.errors import Invalid, LianbanError, Refused
from orchestrator.domain.suite import hash_of
from orchestrator.gateway.sheets import MOST_LEAVES, REVOCATION_TYP, VALID_SECONDS
from orchestrator.protocol.jose import jws_hash, peek_jws, sign_jws
from orchestrator.protocol.keyset import generate_seat_keys
from orchestrator.protocol.mandate import ChainRef
from orchestrator.protocol.question import sign_request
from orchestrator.protocol.sheet import Transition, recover, sheet_digest
from orchestrator.protocol.wire import CLOCK_SKEW, seat_ref
from tests.support.approver import OPERATOR, Approvers, Filed, leaf, open_approvers, root_of
from tests.support.services import GALLERY, paper

pytestmark = pytest.mark.anyio

FIRE, HEALTH, TAX = 4, 11, 6


def signer_of(approvers: Approvers, sheet: dict[str, Any], transitions: list[dict[str, Any]]) -> str:
    """Whose chain key signed a sheet over the transitions that it says it signed, in its order."""
    by_case = {each["case"]: each for each in transitions}
    ordered = [
        Transition(
            case_id=from_hex(case),
            root=from_hex(by_case[case]["root"]),
            status=Status(by_case[case]["status"]),
            sequence=by_case[case]["sequence"],
            binding=by_case[case]["binding"],
        )
        for case in sheet["signed"]
    ]
    domain = approvers.consortium.chain.domain("CaseLedger")
    digest = sheet_digest(domain, sheet["seat"], sheet["valid_until"], ordered)
    return recover(digest, from_hex(sheet["signature"], 65))


async def approved(gallery: Approvers) -> tuple[Filed, str]:
    """A case with a verdict that approves it."""
    case = gallery.file()
    verdict, jws = await gallery.verdict(case)
    assert verdict.outcome == "approve"
    return case, jws


async def expire(approvers: Approvers, case: Filed, *, seconds: int = 1) -> None:
    """Lets the sheets of a case end `seconds` before they can no longer land."""
    until = int(time.time()) - CLOCK_SKEW - seconds
    for seat in approvers.seats.values():
        await seat.store.rows("update outcome set valid_until = %s where case_id = %s", [until, case.id])


# ---- what is signed


async def test_sheets__many_cases__one_signature_in_batch_order(gallery: Approvers) -> None:
    cases = [gallery.file() for _ in range(5)]
    gallery.answer(cases[1], not_on_abnormal_list=False)
    gallery.answer(cases[2], scope_covers=False)
    verdicts = {entry["case"]: entry["verdict"] for entry in (await gallery.verdicts(*cases))["verdicts"]}
    statuses = [Status.APPROVED, Status.ACCEPTED, Status.RETURNED, Status.APPROVED, Status.APPROVED]
    transitions = [
        await gallery.transition(case, status, [verdicts[case.id]])
        for case, status in zip(cases, statuses, strict=True)
    ]
    transitions[4]["status"] = int(Status.REFUSED)
    before = int(time.time())
    sheet = await gallery.sheets(*transitions)
    assert sheet["signed"] == sorted(case.id for case in cases[:4])
    assert [(entry["case"], entry["code"]) for entry in sheet["refused"]] == [(cases[4].id, "wrong-status")]
    assert (sheet["seat"], 0 <= sheet["valid_until"] - before - VALID_SECONDS < 5) == (gallery.lead, True)
    assert signer_of(gallery, sheet, transitions) == gallery.consortium.seat(gallery.lead).signer


async def test_sheets__two_approvers__each_signs_with_all_verdicts(hall: Approvers) -> None:
    case = hall.file()
    verdicts = [(await hall.verdict(case, seat=seat))[1] for seat in (FIRE, HEALTH)]
    transition = await hall.transition(case, Status.APPROVED, verdicts)
    for seat in (FIRE, HEALTH):
        sheet = await hall.sheets(transition, seat=seat)
        assert signer_of(hall, sheet, [transition]) == hall.consortium.seat(seat).signer


async def test_sheets__asked_again_for_the_same__signed_again(gallery: Approvers) -> None:
    case, jws = await approved(gallery)
    transition = await gallery.transition(case, Status.APPROVED, [jws])
    assert (await gallery.sheets(transition))["signed"] == [case.id]
    assert (await gallery.sheets(transition))["signed"] == [case.id]


async def test_sheets__second_approver_refuses__lead_does_not_approve(hall: Approvers) -> None:
    case = hall.file(materials=[paper("hygiene-test-report", issued_on="2020-01-01", result="pass")])
    verdicts = [(await hall.verdict(case, seat=seat))[1] for seat in (FIRE, HEALTH)]
    assert await hall.sheet_refused(await hall.transition(case, Status.APPROVED, verdicts), seat=FIRE) == "wrong-status"
    returned = await hall.transition(case, Status.RETURNED, verdicts)
    assert (await hall.sheets(returned, seat=HEALTH))["signed"] == [case.id]


async def test_sheets__accepted_by_another_than_the_lead__refused(hall: Approvers) -> None:
    case = hall.file()
    hall.answer(case, not_on_abnormal_list=False)
    verdicts = [(await hall.verdict(case, seat=seat))[1] for seat in (FIRE, HEALTH)]
    accepted = await hall.transition(case, Status.ACCEPTED, verdicts)
    assert await hall.sheet_refused(accepted, seat=HEALTH) == "not-lead"
    assert (await hall.sheets(accepted, seat=FIRE))["signed"] == [case.id]


async def test_sheets__every_seat_has_rotated_since__what_was_signed_before_still_counts(pg_admin_dsn: str) -> None:
    async with open_approvers(GALLERY, pg_admin_dsn) as approvers:
        case = approvers.file()
        decided = approvers.file()
        approval = (await approvers.verdict(decided))[1]
        at = int(time.time()) - CLOCK_SKEW + 2
        for number in approvers.consortium.binding.named - {OPERATOR}:
            keys = generate_seat_keys(identity=number == approvers.consortium.binding.identity)
            keyset = replace(approvers.consortium.seat(number).keyset, keys=tuple(keys.public_jwks()))
            # Only the keys of this file: the chain key goes on signing log heads.
            approvers.consortium.chain.admit(keyset, approvers.consortium.keys[number], at=at)
        transition = await approvers.transition(decided, Status.APPROVED, [approval])
        assert (await approvers.sheets(transition))["signed"] == [decided.id]
        answer = await approvers.verdicts(case)
        assert peek_jws(answer["verdicts"][0]["verdict"])[1]["outcome"] == "approve"
        # What the old keys sign from then on counts no more.
        approvers.say(decided, "E06.company", attempt=2, age=-5)
        answer = await approvers.verdicts(decided)
        assert peek_jws(answer["verdicts"][0]["verdict"])[1]["outcome"] != "approve"


# ---- what is not


async def test_sheets__status_other_than_the_verdicts__refused(gallery: Approvers) -> None:
    case, jws = await approved(gallery)
    for status in (Status.ACCEPTED, Status.RETURNED, Status.REFUSED):
        assert await gallery.sheet_refused(await gallery.transition(case, status, [jws])) == "wrong-status"
    assert (await gallery.sheets(await gallery.transition(case, Status.APPROVED, [jws])))["signed"] == [case.id]


async def test_sheets__asker_is_not_the_operator__refused(gallery: Approvers) -> None:
    case, jws = await approved(gallery)
    async with gallery.client(TAX) as tax:
        (sheet,) = await tax.sheets(
            gallery.consortium.seat(gallery.lead), [await gallery.transition(case, Status.APPROVED, [jws])]
        )
    assert (sheet["signature"], sheet["refused"][0]["code"]) == ("", "asker-not-named")


async def test_sheets__verdict_missing_or_not_on_this__refused(hall: Approvers) -> None:
    case, other = hall.file(), hall.file()
    fire, health = [(await hall.verdict(case, seat=seat))[1] for seat in (FIRE, HEALTH)]
    stranger = (await hall.verdict(other, seat=HEALTH))[1]
    forged = sign_jws(
        {"iss": seat_ref(HEALTH), "case": case.id}, typ="lianban-verdict+jwt", key=hall.consortium.keys[0].evidence
    )
    for verdicts in ([fire], [health], [], [fire, stranger], [fire, forged], [fire, fire], [fire, "no jws"]):
        transition = await hall.transition(case, Status.APPROVED, verdicts, leaves=[leaf("answer", "0x" + "11" * 32)])
        assert await hall.sheet_refused(transition, seat=FIRE) == "verdict-missing"
    case.sequence = 2
    assert await hall.sheet_refused(await hall.transition(case, Status.APPROVED, [fire, health])) == "verdict-missing"
    assert await hall.sheet_refused(await hall.transition(other, Status.APPROVED, [fire, health])) == "verdict-missing"
    amended = hall.amend(case, form=hall.service.form)
    amended.sequence = 1
    assert (
        await hall.sheet_refused(await hall.transition(amended, Status.APPROVED, [fire, health])) == "verdict-missing"
    )


async def test_sheets__verdict_replaced_meanwhile__refused(gallery: Approvers) -> None:
    case, jws = await approved(gallery)
    gallery.say(case, "E06.company", attempt=2)
    verdict, newer = await gallery.verdict(case)
    assert (verdict.outcome, newer == jws) == ("approve", False)
    assert await gallery.sheet_refused(await gallery.transition(case, Status.APPROVED, [jws])) == "verdict-changed"
    # Nor is the older one slipped in before the newer one.
    both = await gallery.transition(case, Status.APPROVED, [jws, newer])
    assert await gallery.sheet_refused(both) == "verdict-changed"
    assert (await gallery.sheets(await gallery.transition(case, Status.APPROVED, [newer])))["signed"] == [case.id]


async def test_sheets__never_judged_here__refused(gallery: Approvers) -> None:
    case, jws = await approved(gallery)
    await gallery.seats[gallery.lead].store.rows("delete from verdict where case_id = %s", [case.id])
    assert await gallery.sheet_refused(await gallery.transition(case, Status.APPROVED, [jws])) == "verdict-changed"


async def test_sheets__evidence_too_old_by_now__items_named(gallery: Approvers) -> None:
    case, jws = await approved(gallery)
    gallery.say(case, "E09.premises", age=3_595)
    _, jws = await gallery.verdict(case)
    await asyncio.sleep(6.1)
    sheet = await gallery.sheets(await gallery.transition(case, Status.APPROVED, [jws]))
    assert [(entry["code"], entry["items"]) for entry in sheet["refused"]] == [("stale-evidence", ["E09.premises"])]


async def test_sheets__mandate_forged_or_of_another_case__refused(gallery: Approvers) -> None:
    case, jws = await approved(gallery)
    other = gallery.file()
    forged = gallery.file(key=gallery.consortium.keys[0].request, answered=False)
    for mandates, code in (
        ([], "no-mandate"),
        (forged.mandates, "forged-mandate"),
        (other.mandates, "wrong-case"),
        ([*case.mandates, other.newest], "broken-chain"),
    ):
        assert (
            await gallery.sheet_refused(await gallery.transition(case, Status.APPROVED, [jws], mandates=mandates))
            == code
        )


async def test_sheets__mandate_for_another_ledger__refused(gallery: Approvers) -> None:
    # The same seats on another chain: what the applicant signed there moves nothing here.
    ledger = gallery.consortium.chain.domain("CaseLedger")
    elsewhere = ChainRef(id=ledger.chain_id + 1, ledger=ledger.contract)
    case = gallery.amend(gallery.file(chain=elsewhere, answered=False), kind="withdrawal", chain=elsewhere)
    assert await gallery.sheet_refused(await gallery.transition(case, Status.WITHDRAWN, [])) == "wrong-chain"


async def test_sheets__binding_other_than_the_mandates__refused(gallery: Approvers) -> None:
    case, jws = await approved(gallery)
    binding = gallery.consortium.binding
    other = gallery.consortium.chain.bind(
        binding.version,
        identity=binding.identity,
        operator=binding.operator,
        approvers=binding.approvers,
        providers=binding.providers,
    )
    for number, code in ((other.number, "wrong-binding"), (4711, "unknown-binding")):
        assert (
            await gallery.sheet_refused(await gallery.transition(case, Status.APPROVED, [jws], binding=number)) == code
        )


async def test_sheets__root_is_not_the_leaves__refused(gallery: Approvers) -> None:
    case, jws = await approved(gallery)
    good = await gallery.transition(case, Status.APPROVED, [jws])
    extra = [*good["leaves"], leaf("answer", "0x" + "11" * 32)]
    twice = [*good["leaves"], good["leaves"][0]]
    assert await gallery.sheet_refused(good | {"leaves": extra}) == "wrong-root"
    assert await gallery.sheet_refused(good | {"root": "0x" + "00" * 32}) == "wrong-root"
    assert await gallery.sheet_refused(good | {"leaves": twice}) == "bad-dossier"


async def test_sheets__dossier_lacks_what_the_case_rests_on__refused(gallery: Approvers) -> None:
    case = gallery.file(materials=[paper("premises-proof")])
    jws = (await gallery.verdict(case))[1]
    good = await gallery.transition(case, Status.APPROVED, [jws])
    kinds = {each["kind"] for each in good["leaves"]}
    assert kinds >= {"mandate", "situation", "form", "material:premises-proof", "answer", "verdict", "credential"}
    for one in good["leaves"]:
        leaves = [each for each in good["leaves"] if each != one]
        assert await gallery.sheet_refused(good | {"leaves": leaves, "root": root_of(leaves)}) == "dossier-incomplete"
        # Under another kind it does not count.
        renamed = [*leaves, one | {"kind": "revocation"}]
        assert await gallery.sheet_refused(good | {"leaves": renamed, "root": root_of(renamed)}) == "dossier-incomplete"
    assert (await gallery.sheets(good))["signed"] == [case.id]


async def test_sheets__credential_other_than_the_one_issued__refused(hall: Approvers) -> None:
    case = hall.file()
    verdicts = [(await hall.verdict(case, seat=seat))[1] for seat in (FIRE, HEALTH)]
    good = await hall.transition(case, Status.APPROVED, verdicts)
    others = [each for each in good["leaves"] if each["kind"] != "credential"]
    foreign = leaf("credential", "0x" + "11" * 32)
    for leaves, seats in (([*others, foreign], [FIRE]), ([*good["leaves"], foreign], [FIRE, HEALTH])):
        for seat in seats:
            bent = good | {"leaves": leaves, "root": root_of(leaves)}
            assert await hall.sheet_refused(bent, seat=seat) == "dossier-incomplete"
    for seat in (FIRE, HEALTH):
        assert (await hall.sheets(good, seat=seat))["signed"] == [case.id]


async def test_sheets__dossier_lost_what_it_held__refused(gallery: Approvers) -> None:
    case = gallery.file()
    gallery.answer(case, scope_covers=False)
    _, first = await gallery.verdict(case)
    returned = await gallery.transition(case, Status.RETURNED, [first])
    assert (await gallery.sheets(returned))["signed"] == [case.id]
    supplemented = gallery.amend(case)
    supplemented.sequence = 2
    gallery.answer(supplemented)
    _, second = await gallery.verdict(supplemented)
    shrunk = await gallery.transition(supplemented, Status.APPROVED, [second])
    assert await gallery.sheet_refused(shrunk) == "dossier-shrunk"
    resalted = await gallery.transition(
        supplemented, Status.APPROVED, [second], before=[leaf("verdict", jws_hash(first))]
    )
    assert await gallery.sheet_refused(resalted) == "dossier-shrunk"
    grown = await gallery.transition(supplemented, Status.APPROVED, [second], before=returned["leaves"])
    assert (await gallery.sheets(grown))["signed"] == [case.id]


async def test_sheets__body_of_another_shape__refused_as_a_whole(gallery: Approvers) -> None:
    case, jws = await approved(gallery)
    good = await gallery.transition(case, Status.APPROVED, [jws])
    bends: list[dict[str, Any]] = [
        {"status": 0},
        {"status": 8},
        {"sequence": 0},
        {"leaves": []},
        {"leaves": [good["leaves"][0] | {"salt": "0x00"}]},
        {"leaves": [good["leaves"][0]] * (MOST_LEAVES + 1)},
        {"binding": -1},
        {"root": "0x"},
        {"surplus": 1},
    ]
    for bent in bends:
        with pytest.raises(Invalid):
            await gallery.sheets(good | bent)


# ---- never a second, different outcome


async def other_outcome(gallery: Approvers, case: Filed, jws: str) -> dict[str, Any]:
    """The same status with another dossier: another outcome all the same."""
    first = await gallery.transition(case, Status.APPROVED, [jws])
    leaves = [*first["leaves"], leaf("answer", "0x" + "22" * 32)]
    return first | {"leaves": leaves, "root": root_of(leaves)}


async def test_sheets__other_outcome_while_the_first_can_land__refused(gallery: Approvers) -> None:
    case, jws = await approved(gallery)
    assert (await gallery.sheets(await gallery.transition(case, Status.APPROVED, [jws])))["signed"] == [case.id]
    other = await other_outcome(gallery, case, jws)
    assert await gallery.sheet_refused(other) == "other-outcome"
    await expire(gallery, case, seconds=-5)  # past its end, but not by as much as clocks may differ
    assert await gallery.sheet_refused(other) == "other-outcome"


async def test_sheets__other_outcome_after_the_first_expired__signed(gallery: Approvers) -> None:
    case, jws = await approved(gallery)
    await gallery.sheets(await gallery.transition(case, Status.APPROVED, [jws]))
    await expire(gallery, case)
    other = await other_outcome(gallery, case, jws)
    assert (await gallery.sheets(other))["signed"] == [case.id]
    # From here on the second one holds.
    assert await gallery.sheet_refused(await gallery.transition(case, Status.APPROVED, [jws])) == "other-outcome"


async def test_sheets__case_twice_in_one_request__refused(gallery: Approvers) -> None:
    case, jws = await approved(gallery)
    one, other = await gallery.transition(case, Status.APPROVED, [jws]), await other_outcome(gallery, case, jws)
    with pytest.raises(Invalid) as error:
        await gallery.sheets(one, other)
    assert error.value.field == "cases"
    with pytest.raises(Invalid):
        await gallery.sheets(one, other | {"sequence": 2})


async def test_sheets__many_outcomes_at_once__one_is_signed(gallery: Approvers) -> None:
    case, jws = await approved(gallery)
    outcomes = [await other_outcome(gallery, case, jws) for _ in range(6)]
    sheets = await asyncio.gather(*(gallery.sheets(outcome) for outcome in outcomes))
    assert sorted(len(sheet["signed"]) for sheet in sheets) == [0] * 5 + [1]
    assert {entry["code"] for sheet in sheets for entry in sheet["refused"]} == {"other-outcome"}


# ---- withdrawn


async def test_sheets__withdrawn_without_the_applicant__refused(gallery: Approvers) -> None:
    case, jws = await approved(gallery)
    assert await gallery.sheet_refused(await gallery.transition(case, Status.WITHDRAWN, [jws])) == "not-withdrawn"
    forged = gallery.amend(case, kind="withdrawal", key=gallery.consortium.keys[0].request)
    assert await gallery.sheet_refused(await gallery.transition(forged, Status.WITHDRAWN, [])) == "forged-mandate"


async def test_sheets__withdrawn__nothing_else_from_then_on(gallery: Approvers) -> None:
    case, jws = await approved(gallery)
    withdrawn = gallery.amend(case, kind="withdrawal")
    assert await gallery.sheet_refused(await gallery.transition(withdrawn, Status.APPROVED, [jws])) == "withdrawn"
    assert (await gallery.sheets(await gallery.transition(withdrawn, Status.WITHDRAWN, [])))["signed"] == [case.id]
    await expire(gallery, case)
    # The withdrawal that this seat has seen cannot be left out again.
    assert await gallery.sheet_refused(await gallery.transition(case, Status.APPROVED, [jws])) == "withdrawn"


async def test_sheets__withdrawn_to_another_than_the_lead__refused(hall: Approvers) -> None:
    withdrawn = hall.amend(hall.file(answered=False), kind="withdrawal")
    transition = await hall.transition(withdrawn, Status.WITHDRAWN, [])
    assert await hall.sheet_refused(transition, seat=HEALTH) == "not-withdrawn"
    assert (await hall.sheets(transition, seat=FIRE))["signed"] == [withdrawn.id]


async def test_sheets__withdrawn_by_a_suspended_identity_seat__refused(gallery: Approvers) -> None:
    withdrawn = gallery.amend(gallery.file(answered=False), kind="withdrawal")
    identity, chain = gallery.consortium.binding.identity, gallery.consortium.chain
    chain.suspend(identity)
    try:
        transition = await gallery.transition(withdrawn, Status.WITHDRAWN, [])
        assert await gallery.sheet_refused(transition) == "identity-suspended"
    finally:
        chain.suspend(identity, active=True)


# ---- revoked


def order_of(approvers: Approvers, case: str, sequence: int, *, seat: int | None = None) -> str:
    """A revocation order as a seat's desk makes it."""
    number = approvers.lead if seat is None else seat
    payload = {"iss": seat_ref(number), "case": case, "sequence": sequence, "reason": "…"}
    return sign_jws(payload, typ=REVOCATION_TYP, key=approvers.consortium.keys[number].evidence)


async def revocation(approvers: Approvers, case: Filed, order: str | None, **changes: Any) -> dict[str, Any]:
    approvers.consortium.chain.settle(case.id, Status.APPROVED, 1, approvers.consortium.binding.number)
    before = [leaf("revocation", jws_hash(order))] if order is not None else []
    return await approvers.transition(case, Status.REVOKED, [], before=before, order=order, **changes)


async def test_sheets__revoked_by_the_leads_order__signed(gallery: Approvers) -> None:
    case = gallery.file(answered=False)
    case.sequence = 2
    transition = await revocation(gallery, case, order_of(gallery, case.id, 2))
    assert (await gallery.sheets(transition))["signed"] == [case.id]


async def test_sheets__revoked_without_a_good_order__refused(hall: Approvers) -> None:
    case, other = hall.file(answered=False), hall.file(answered=False)
    case.sequence = 2
    for order, code in (
        (None, "no-order"),
        (order_of(hall, other.id, 2), "no-order"),
        (order_of(hall, case.id, 3), "no-order"),
        (order_of(hall, case.id, 2, seat=HEALTH), "bad-signature"),
        (order_of(hall, case.id, 2, seat=0), "bad-signature"),
    ):
        assert await hall.sheet_refused(await revocation(hall, case, order), seat=FIRE) == code
    not_lead = await revocation(hall, case, order_of(hall, case.id, 2, seat=HEALTH))
    assert await hall.sheet_refused(not_lead, seat=HEALTH) == "no-order"


async def test_sheets__order_not_in_the_dossier__refused(gallery: Approvers) -> None:
    case = gallery.file(answered=False)
    case.sequence = 2
    gallery.consortium.chain.settle(case.id, Status.APPROVED, 1, gallery.consortium.binding.number)
    bare = await gallery.transition(case, Status.REVOKED, [], order=order_of(gallery, case.id, 2))
    assert await gallery.sheet_refused(bare) == "dossier-incomplete"


async def test_sheets__replayed_request__refused(gallery: Approvers) -> None:
    case, jws = await approved(gallery)
    body = {"cases": [await gallery.transition(case, Status.APPROVED, [jws])]}
    request = sign_request(
        {"body": to_hex(hash_of(canonical(body)))},
        "sheets",
        key=gallery.consortium.keys[0].request,
        iss=0,
        aud=gallery.lead,
    )
    seat = gallery.consortium.seat(gallery.lead)
    first = await gallery.operator._send(seat, "sheets", {"request": request, "body": body})
    assert first["signed"] == [case.id]
    with pytest.raises(Refused) as error:
        await gallery.operator._send(seat, "sheets", {"request": request, "body": body})
    assert error.value.code == "replayed"
    with pytest.raises(LianbanError):
        await gallery.operator._send(seat, "verdicts", {"request": request, "body": body})
