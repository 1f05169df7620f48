"""With the orchestrator's keys and database alone nobody can invent a case, swap its subject, read a sealed claim, drop an
answer, or move a case. One attempt each, over real HTTP and on the real chain.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator

import pytest
from psycopg.types.json import Jsonb

from orchestrator.demo.applicant import ProblemError
from orchestrator.domain.canonical import to_hex
from orchestrator.domain.case import Status
from orchestrator.domain.errors import LianbanError, Refused
from orchestrator.identity.client import Applicant
from orchestrator.ledger.poster import SheetPart
from orchestrator.protocol.answer import AnswerEnvelope, read_answer
from orchestrator.protocol.credential import Credential, open_credential
from orchestrator.protocol.jose import SigningKey, jws_hash, peek_jws, sign_jws
from orchestrator.protocol.keyfolder import load_seat_keys
from orchestrator.protocol.mandate import TYP as MANDATE
from orchestrator.protocol.mandate import Mandate, case_id, open_subject
from orchestrator.protocol.material import Material, SealedForm, SealedMaterial, open_form, open_material, seal_material
from orchestrator.protocol.sdjwt import open_disclosure
from orchestrator.protocol.sheet import Transition, sheet_digest
from orchestrator.protocol.verdict import Verdict
from orchestrator.scenarios import read_data
from tests.support.credentials import public
from tests.support.thief import (
    Swapping,
    Thief,
    Victims,
    abnormal,
    edited,
    open_thief,
    problem_of,
    refusal,
    rooted,
    unmoved,
)
from tests.support.world import LONGEST, World

pytestmark = pytest.mark.anyio

MARKET, IDENTITY, CULTURE = 1, 2, 3
"""Seats: a provider, the identity seat, and the approver of the gallery."""


@pytest.fixture(scope="module")
async def thief(world: World) -> AsyncIterator[Thief]:
    async with open_thief(world) as opened:
        yield opened


@pytest.fixture(scope="module")
async def victims(world: World) -> Victims:
    names = ("gallery-passes", "gallery-leased-passes", "gallery-abnormal", "gallery-identity-brought")
    shown = await asyncio.gather(*(world.settled(name) for name in names))
    assert [each["status"] for each in shown] == [3, 3, 1, 2]
    approved, leased, accepted, returned = (str(each["id"]) for each in shown)
    return Victims(approved=approved, leased=leased, accepted=accepted, returned=returned)


# Inventing a case


async def test_invent__mandate_signed_by_the_operator__nobody_takes_it(
    world: World, thief: Thief, victims: Victims
) -> None:
    file = await thief.file(victims.approved)
    payload = peek_jws(file["mandates"][0])[1] | {"jti": secrets.token_urlsafe(16)}
    for key in (thief.keys.request, thief.keys.evidence):
        forged = sign_jws(payload, typ=MANDATE, key=key)
        invented = case_id(forged)
        answer = await thief.ask(MARKET, [forged], "E05.company")
        assert (answer.result, answer.reason, answer.claims) == ("refused", "forged-mandate", {})
        assert await thief.verdict(CULTURE, file | {"case": invented, "mandates": [forged]}) == "forged-mandate"
        body = await thief.sealed(victims.approved)
        assert await thief.sheet(CULTURE, body | {"case": invented, "mandates": [forged]}) == "forged-mandate"
        assert await world.on_chain(invented) == (0, 0, 0)


async def test_invent__case_row_put_into_the_database__never_settles(
    world: World, thief: Thief, victims: Victims
) -> None:
    file = await thief.file(victims.approved)
    payload = peek_jws(file["mandates"][0])[1] | {"jti": secrets.token_urlsafe(16)}
    forged = sign_jws(payload, typ=MANDATE, key=thief.keys.request)
    invented = case_id(forged)
    await world.rows(
        """
        insert into case_file (id, subject, scenario, version, binding, situation, situation_salt, form, delivery, day,
                               deadline)
        select %s, subject, scenario, version, binding, situation, situation_salt, form, delivery, day, deadline
        from case_file where id = %s
        """,
        [invented, victims.approved],
    )
    await world.rows(
        "insert into mandate (hash, case_id, position, jws) values (%s, %s, 0, %s)",
        [jws_hash(forged), invented, forged],
    )
    try:
        error = await problem_of(world, invented)
        assert error["code"] == "forged-mandate"
        answers = await world.rows("select distinct state, reason from question where case_id = %s", [invented])
        assert answers == [{"state": "refused", "reason": "forged-mandate"}]
        # Even told that everything is decided, no approver signs.
        await world.hold(invented)
        await world.rows("update case_file set stage = 'seal', target = 3, error = null where id = %s", [invented])
        await world.release(invented)
        error = await problem_of(world, invented)
        assert error["code"] == "forged-mandate"
        assert await world.on_chain(invented) == (0, 0, 0)
    finally:
        await world.rows("delete from case_file where id = %s", [invented])


async def test_invent__mandate_of_another_ledger_or_case__refused(world: World, thief: Thief, victims: Victims) -> None:
    # A genuine mandate of another devnet: the identity seat itself signed it there.
    settings = world.cluster.settings
    identity = load_seat_keys(settings.keys_dir / settings.identity, settings.passphrase(), {"identity"}).identity
    file = await thief.file(victims.approved)
    payload = peek_jws(file["mandates"][0])[1]
    chain = payload["chain"] | {"id": payload["chain"]["id"] + 1}
    elsewhere = sign_jws(payload | {"chain": chain}, typ=MANDATE, key=identity)
    answer = await thief.ask(MARKET, [elsewhere], "E05.company")
    assert (answer.result, answer.reason) == ("refused", "wrong-chain")
    replayed = file | {"case": case_id(elsewhere), "mandates": [elsewhere]}
    assert await thief.verdict(CULTURE, replayed) == "wrong-chain"
    assert await world.on_chain(case_id(elsewhere)) == (0, 0, 0)

    async with unmoved(world, victims.approved, victims.accepted):
        others = (await thief.file(victims.approved))["mandates"]
        assert await thief.verdict(CULTURE, await thief.file(victims.accepted) | {"mandates": others}) == "wrong-case"
        other_binding = next(
            binding.number
            for binding in await world.runtime.context.view.bindings()
            if CULTURE not in binding.approvers
        )
        body = await thief.sealed(victims.approved)
        assert await thief.sheet(CULTURE, body | {"binding": other_binding}) == "asker-not-named"
        moved = Transition(
            case_id=bytes.fromhex(victims.approved[2:]),
            root=secrets.token_bytes(32),
            status=Status.REVOKED,
            sequence=2,
            binding=other_binding,
        )
        assert await thief.settle([moved], []) == [("CaseRefused", "other-binding")]


# Swapping the subject


async def test_swap_subject__slots_of_the_mandate_edited__forged(world: World, thief: Thief, victims: Victims) -> None:
    file = await thief.file(victims.leased)
    mine = peek_jws(file["mandates"][0])[1]
    other = peek_jws((await thief.file(victims.approved))["mandates"][0])[1]
    swapped = {role: other["subjects"].get(role, slots) for role, slots in mine["subjects"].items()}
    only_blobs = {
        role: [slot | {"sealed": theirs["sealed"]} for slot, theirs in zip(slots, swapped[role], strict=True)]
        for role, slots in mine["subjects"].items()
    }
    async with unmoved(world, victims.leased):
        for subjects in (swapped, only_blobs):
            assert subjects != mine["subjects"]
            tampered = edited(file["mandates"][0], subjects=subjects)
            answer = await thief.ask(MARKET, [tampered], "E05.company")
            assert (answer.result, answer.reason) == ("refused", "forged-mandate")
            assert await thief.verdict(CULTURE, file | {"mandates": [tampered]}) == "forged-mandate"


async def test_swap_subject__another_account_amends__refused(world: World, thief: Thief, victims: Victims) -> None:
    walk = world.demo["gallery-identity-brought"].walk
    owner = (await world.rows("select subject from case_file where id = %s", [victims.returned]))[0]["subject"]
    async with unmoved(world, victims.returned), world.person(world.demo["gallery-passes"].person) as other:
        with pytest.raises(ProblemError) as refused:
            await other.amend(victims.returned, walk, [])
        assert (refused.value.status, refused.value.code) == (404, "not-found")
        # The thief writes the other account into the case, so that the portal lets it through.
        stranger = (await other.request("GET", "/api/v1/me"))["subject"]
        await world.rows("update case_file set subject = %s where id = %s", [stranger, victims.returned])
        try:
            with pytest.raises(LianbanError) as signed:
                await other.amend(victims.returned, walk, [])
            assert signed.value.code == "not-your-case"  # the identity seat signs for whoever signed before
        finally:
            await world.rows("update case_file set subject = %s where id = %s", [owner, victims.returned])
        assert len((await thief.file(victims.returned))["mandates"]) == 1


async def test_swap__another_form_or_delivery_key_under_the_signature__client_does_not_sign(
    world: World, thief: Thief
) -> None:
    applicant = world.demo["gallery-passes"]
    before = await world.rows("select count(*) as mandates from mandate")
    for other in (
        {"form": {"hash": to_hex(secrets.token_bytes(32))}},
        {"form": None},
        {"delivery": thief.keys.sealing.jwk},  # the credential would open for the thief
        {"holder": public(SigningKey.generate())},  # the thief could show that it is theirs
        {"holder": None},
    ):
        async with Applicant(applicant.person, timeout=60) as browser:
            client = Swapping(thief, browser, other)
            await client.sign_in()
            with pytest.raises(Refused) as refused:
                await client.apply(applicant.walk, list(applicant.plan.materials_after))
            assert refused.value.code == "not-what-was-sent"
    assert await world.rows("select count(*) as mandates from mandate") == before


# Reading what is sealed


async def test_read__database_and_every_key_of_the_orchestrator__nothing_opens(
    world: World, thief: Thief, victims: Victims
) -> None:
    key, seat = thief.keys.sealing, 0
    await world.settled("gallery-moved-recently")
    found = {"subject": 0, "answer": 0, "form": 0, "material": 0, "credential": 0}
    for row in await world.rows("select jws from mandate"):
        mandate = Mandate.model_validate(peek_jws(row["jws"])[1])
        for role, slots in mandate.subjects.items():
            for index, slot in enumerate(slots):
                assert str(seat) not in slot.sealed
                for holder in slot.sealed:
                    found["subject"] += 1
                    code = refusal(
                        lambda m=mandate, r=role, i=index, h=int(holder): open_subject(m, r, i, seat=h, key=key)
                    )
                    assert code == "cannot-open"
    sealed_claims = set()
    for row in await world.rows("select envelope from question where envelope is not null"):
        envelope = AnswerEnvelope.parse(row["envelope"])
        provider = await thief.seat(int(str(peek_jws(envelope.answer)[1]["iss"]).removeprefix("seat:")))
        public = provider.keyset.key("evidence")
        for holder in envelope.sealed:
            found["answer"] += 1
            code = refusal(lambda e=envelope, p=public, h=int(holder): read_answer(e, p, private=key, seat=h))
            assert code == "cannot-open"
        sealed_claims |= {open_disclosure(text)[0] for text in envelope.disclosures}
    assert not sealed_claims & {"full_name", "entity_name", "uscc", "domicile", "business_scope", "location"}
    for row in await world.rows("select form from case_file where form is not null"):
        form = SealedForm.model_validate(row["form"])
        for holder in form.sealed:
            found["form"] += 1
            assert refusal(lambda f=form, h=int(holder): open_form(f, seat=h, key=key)) == "cannot-open"
    for row in await world.rows("select material as id, hash, sealed from material"):
        material = SealedMaterial.model_validate(row)
        for holder in material.sealed:
            found["material"] += 1
            assert refusal(lambda m=material, h=int(holder): open_material(m, seat=h, key=key)) == "cannot-open"
    for row in await world.rows("select case_id, jwt, sealed from credential"):
        found["credential"] += 1
        credential = Credential(jwt=row["jwt"], sealed=row["sealed"])
        assert refusal(lambda c=credential, i=row["case_id"]: open_credential(c, i, key)) == "cannot-open"
    assert all(found.values()), found

    # The one for whom it is sealed does open it: the attempt above is a real one.
    settings = world.cluster.settings
    theirs = load_seat_keys(settings.keys_dir / "haidian-culture-tourism", settings.passphrase(), {"sealing"})
    form = SealedForm.model_validate((await thief.file(victims.approved))["form"])
    assert open_form(form, seat=CULTURE, key=theirs.sealing).values["legal_representative"] == "陈画"

    everything = await world.dump()
    assert victims.approved in everything
    cast = read_data("cast.yaml")
    personal = [each[part] for each in cast["people"].values() for part in ("name", "number")]
    personal += [each["uscc"] for each in cast["companies"].values()]
    assert [text for text in personal if text in everything] == []


# Dropping an answer


async def test_drop__unwelcome_answer_replaced_or_withheld__approver_fetches_it_itself(
    world: World, thief: Thief, victims: Victims
) -> None:
    good = await world.rows(
        "select envelope, answer_hash from question where case_id = %s and item = 'E06.company'", [victims.approved]
    )
    async with unmoved(world, victims.accepted):
        file = await thief.file(victims.accepted)
        honest = await thief.verdict(CULTURE, file)
        assert isinstance(honest, Verdict)
        assert "GAL-06" in honest.rows
        for state, envelope, digest in (
            ("answered", good[0]["envelope"], good[0]["answer_hash"]),
            ("brought", None, None),
            ("unavailable", None, None),
        ):
            await world.rows(
                """
                update question set state = %s, envelope = %s, answer_hash = %s
                where case_id = %s and item = 'E06.company'
                """,
                [state, Jsonb(envelope) if envelope else None, digest, victims.accepted],
            )
            verdict = await thief.verdict(CULTURE, await thief.file(victims.accepted))
            assert isinstance(verdict, Verdict)
            assert (verdict.outcome, "GAL-06" in verdict.rows) == ("manual", True)
            assert [each.hash for each in verdict.answers] == [each.hash for each in honest.answers]


async def test_drop__question_never_asked__never_approved(world: World, thief: Thief) -> None:
    file = await thief.intercept("gallery-passes")
    verdict = await thief.verdict(CULTURE, file)
    assert isinstance(verdict, Verdict)
    assert (verdict.outcome, verdict.answers) == ("return", ())
    assert "COM-07" in [row.partition(".")[0] for row in verdict.rows]
    # All but the one that could be unwelcome: still not approved.
    payload = peek_jws(file["mandates"][0])[1]
    for grant in payload["evidence"]:
        if grant["item"] != "E06.company":
            await thief.ask(grant["seat"], file["mandates"], grant["item"])
    verdict = await thief.verdict(CULTURE, file | {"given_up": ["E06.company"]})
    assert isinstance(verdict, Verdict)
    assert verdict.outcome != "approve"
    assert await world.on_chain(file["case"]) == (0, 0, 0)


async def test_drop__older_attempt_kept__newest_counts(world: World, thief: Thief) -> None:
    file = await thief.intercept("gallery-passes")
    await thief.ask_all(file["mandates"])
    first = await thief.verdict(CULTURE, file)
    assert isinstance(first, Verdict)
    assert first.outcome == "approve"
    with abnormal(world, "E001"):
        second = await thief.ask(MARKET, file["mandates"], "E06.company")
    assert (second.attempt, second.claims["not_on_abnormal_list"]) == (2, False)
    verdict = await thief.verdict(CULTURE, file)
    assert isinstance(verdict, Verdict)
    assert (verdict.outcome, "GAL-06" in verdict.rows) == ("manual", True)
    assert second.hash in [each.hash for each in verdict.answers]
    # The first verdict, though genuine, moves nothing any more.
    (approving,) = thief.verdicts_seen[file["case"]][:1]
    contents = [("mandate", jws_hash(file["mandates"][0])), ("verdict", jws_hash(approving))]
    leaves = [{"kind": kind, "salt": to_hex(secrets.token_bytes(32)), "content": content} for kind, content in contents]
    body = {
        "case": file["case"],
        "sequence": 1,
        "status": int(Status.APPROVED),
        "binding": first.binding,
        "leaves": leaves,
        "verdicts": [approving],
        "mandates": file["mandates"],
        "order": None,
    }
    assert await thief.sheet(CULTURE, rooted(body)) == "verdict-changed"
    assert await world.on_chain(file["case"]) == (0, 0, 0)


# Moving a case


async def test_move__sheets_signed_by_the_operator__not_signed(world: World, thief: Thief, victims: Victims) -> None:
    _, sequence, binding = await world.on_chain(victims.accepted)
    approval = Transition(
        case_id=bytes.fromhex(victims.accepted[2:]),
        root=secrets.token_bytes(32),
        status=Status.APPROVED,
        sequence=sequence + 1,
        binding=binding,
    )
    until = int(time.time()) + 100
    domain = world.runtime.context.view.domain("CaseLedger")
    async with unmoved(world, victims.accepted):
        events = await thief.settle(
            [approval],
            [
                SheetPart(
                    seat=CULTURE,
                    valid_until=until,
                    covers=frozenset({0}),
                    signature=thief.keys.chain.sign_hash(sheet_digest(domain, CULTURE, until, [approval])),
                ),
                SheetPart(  # its own seat's sheet is good, and says nothing here
                    seat=0,
                    valid_until=until,
                    covers=frozenset({0}),
                    signature=thief.keys.chain.sign_hash(sheet_digest(domain, 0, until, [approval])),
                ),
            ],
        )
        assert events == [("SheetRefused", "wrong-signature"), ("CaseRefused", "not-signed")]


async def test_move__sheet_of_another_case__wrong_signature(world: World, thief: Thief, victims: Victims) -> None:
    (genuine, *_), sheets = await thief.batch(victims.approved)
    _, sequence, binding = await world.on_chain(victims.accepted)
    moved = Transition(
        case_id=bytes.fromhex(victims.accepted[2:]),
        root=genuine.root,
        status=Status.APPROVED,
        sequence=sequence + 1,
        binding=binding,
    )
    async with unmoved(world, victims.accepted):
        parts = [
            SheetPart(seat=each.seat, valid_until=each.valid_until, covers=frozenset({0}), signature=each.signature)
            for each in sheets
        ]
        assert await thief.settle([moved], parts) == [
            ("SheetRefused", "wrong-signature"),
            ("CaseRefused", "not-signed"),
        ]


async def test_move__status_other_than_the_verdicts__no_sheet(world: World, thief: Thief, victims: Victims) -> None:
    body = await thief.sealed(victims.accepted)
    async with unmoved(world, victims.accepted):
        for status, code in (
            (Status.APPROVED, "wrong-status"),
            (Status.REFUSED, "wrong-status"),
            (Status.WITHDRAWN, "not-withdrawn"),
            (Status.REVOKED, "no-such-move"),
        ):
            assert await thief.sheet(CULTURE, body | {"status": int(status)}) == code
        # A verdict that somebody else signed is none.
        approving = peek_jws(body["verdicts"][0])[1] | {"outcome": "approve", "rows": ["GAL-99"]}
        forged = sign_jws(approving, typ="lianban-verdict+jwt", key=thief.keys.evidence)
        assert await thief.sheet(CULTURE, body | {"status": 3, "verdicts": [forged]}) == "verdict-missing"


async def test_move__second_outcome_of_a_number__no_second_sheet(world: World, thief: Thief, victims: Victims) -> None:
    fresh = (await world.settled("gallery-non-beijing-passes"))["id"]
    body = await thief.sealed(fresh)
    leaf = {"kind": "form", "salt": to_hex(secrets.token_bytes(32)), "content": to_hex(secrets.token_bytes(32))}
    other = rooted(body | {"leaves": [*body["leaves"], leaf]})
    assert other["root"] != body["root"]
    async with unmoved(world, fresh):
        # The case has settled: the ledger would take no further step, so no seat signs one, be it the old one or another.
        # (What is signed and not yet settled is tried in tests/unit/gateway/test_sheets.py: `other-outcome`.)
        for each in (body, other, other | {"root": body["root"]}, other | {"status": int(Status.REFUSED)}):
            assert await thief.sheet(CULTURE, each) == "no-such-move"


async def test_move__settled_batch_once_more__wrong_sequence(world: World, thief: Thief) -> None:
    fresh = str((await world.settled("gallery-leased-passes"))["id"])
    transitions, sheets = await thief.batch(fresh)
    rows = await world.rows(
        "select b.raw from transition t join batch b on b.id = t.batch where t.case_id = %s", [fresh]
    )
    async with unmoved(world, fresh):
        nonce = await world.runtime.context.poster.nonce()
        await world.runtime.context.poster.send([bytes(rows[0]["raw"])])  # the node takes no nonce twice
        assert await world.runtime.context.poster.nonce() == nonce
        events = await thief.settle(transitions, sheets)
        assert events == [("CaseRefused", "wrong-sequence")] * len(transitions)


async def test_move__older_sheet_of_the_case__wrong_sequence(world: World, thief: Thief) -> None:
    async with world.applied("gallery-identity-brought") as (client, case, applicant):
        await client.settled(case, timeout=LONGEST)
        older, sheets = await thief.batch(case)
        held = [*applicant.plan.materials_after, *applicant.brings]
        await client.amend(case, applicant.walk, held)
        await client.settled(case, after=1, timeout=LONGEST)
        async with unmoved(world, case):
            assert await thief.settle(older, sheets) == [("CaseRefused", "wrong-sequence")] * len(older)


# Adding, swapping, dropping a material


async def test_material__dropped_swapped_or_added__refused_or_not_counted(
    world: World, thief: Thief, victims: Victims
) -> None:
    file = await thief.file(victims.returned)
    key = (await thief.seat(CULTURE)).keyset.key("sealing")
    wanted = Material(
        id="handler-identity-and-household", filename="a", media_type="text/plain", content=b"forged", fields={}
    )
    own = seal_material(wanted, {CULTURE: key}).model_dump(mode="json")
    first = file["materials"][0]
    like_first = Material(id=first["id"], filename="a", media_type="text/plain", content=b"forged", fields={})
    swapped = seal_material(like_first, {CULTURE: key}).model_dump(mode="json")
    async with unmoved(world, victims.returned):
        assert await thief.verdict(CULTURE, file | {"materials": file["materials"][1:]}) == "material-missing"
        rest = file["materials"][1:]
        assert await thief.verdict(CULTURE, file | {"materials": [swapped, *rest]}) == "material-missing"
        disguised = swapped | {"hash": first["hash"]}
        assert await thief.verdict(CULTURE, file | {"materials": [disguised, *rest]}) == "cannot-open"
        verdict = await thief.verdict(CULTURE, file | {"materials": [*file["materials"], own]})
        assert isinstance(verdict, Verdict)
        assert verdict.outcome == "return"
        assert wanted.id in verdict.materials_wanted
        assert wanted.id not in [each.id for each in verdict.materials]
        assert await thief.verdict(CULTURE, file | {"form": None}) == "wrong-form"
