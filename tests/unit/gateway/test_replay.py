"""Replay: the same decision from the same dossier; whatever was altered since is named; what is sealed shows to the approver."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from psycopg.types.json import Jsonb

from orchestrator.domain.case import Status
from orchestrator.domain.errors import Refused
from orchestrator.gateway import replay as module
from orchestrator.gateway.replay import Replay, replay, report
from orchestrator.protocol.jose import SigningKey, peek_jws, sign_jws
from orchestrator.protocol.keyset import SeatKeys
from orchestrator.protocol.sealing import SealingKey
from orchestrator.protocol.verdict import TYP
from orchestrator.rules.engine import ENGINE
from orchestrator.scenarios import load_catalogue
from tests.support.approver import Approvers, Filed

pytestmark = pytest.mark.anyio

ABNORMAL = {"not_on_abnormal_list": False}


async def again(gallery: Approvers, case: Filed, **more: Any) -> Replay:
    seat, state = gallery.seats[gallery.lead], gallery.app.state
    return await replay(
        case.id, seat=seat, chain=gallery.consortium.chain, reader=state.mandates, rules=state.rules, **more
    )


async def alter(gallery: Approvers, case: Filed, column: str, value: Any) -> None:
    """Writes into the approver's store as its own administrator could."""
    statement: Any = f"update basis set {column} = %s where case_id = %s"
    await gallery.seats[gallery.lead].store.rows(statement, [value, case.id])


async def kept(gallery: Approvers, case: Filed, column: str) -> Any:
    statement: Any = f"select {column} from basis where case_id = %s"
    return (await gallery.seats[gallery.lead].store.rows(statement, [case.id]))[0][column]


@pytest.mark.parametrize(
    ("claims", "outcome"),
    [
        ({}, "approve"),
        ({"scope_covers": False}, "return"),
        (ABNORMAL, "manual"),
        ({"household_in": "unknown"}, "return"),
    ],
)
async def test_replay__nothing_altered__same_outcome_and_reasons(
    gallery: Approvers, claims: dict[str, Any], outcome: str
) -> None:
    case = gallery.file()
    gallery.answer(case, **claims)
    verdict, jws = await gallery.verdict(case)
    gallery.book.answers.clear()  # the providers are gone: nothing is asked again

    found = await again(gallery, case)

    assert (found.jws, found.verdict, found.differences) == (jws, verdict, ())
    assert (found.outcome, found.verdict.outcome) == (outcome, outcome)
    assert found.decision is not None
    assert set(found.changes) <= set(verdict.rows)


async def test_replay__years_later__judged_as_on_the_day(gallery: Approvers, monkeypatch: pytest.MonkeyPatch) -> None:
    case = gallery.file()
    await gallery.verdict(case)
    monkeypatch.setattr("time.time", lambda: 4e9)

    assert (await again(gallery, case)).differences == ()


async def test_replay__sealing_key_rotated__what_was_sealed_before_still_opens(gallery: Approvers) -> None:
    case = gallery.file()
    await gallery.verdict(case)
    seat, state = gallery.seats[gallery.lead], gallery.app.state
    old = seat.keys.sealing
    rotated = replace(seat, keys=SeatKeys(sealing=SealingKey(SealingKey.generate().holder, past=(old,))))

    found = await replay(
        case.id, seat=rotated, chain=gallery.consortium.chain, reader=state.mandates, rules=state.rules
    )

    assert found.differences == ()


async def test_replay__officer_decided__decision_checked_and_rules_shown(gallery: Approvers) -> None:
    case, officer = gallery.file(), await gallery.officer()
    gallery.answer(case, **ABNORMAL)
    await gallery.verdict(case)
    (item,) = [item for item in await officer.client.queue() if item["case"] == case.id]
    await officer.client.decide(item, "approve", "已移出名录")
    gallery.consortium.chain.settle(case.id, Status.ACCEPTED, 1, 1)
    case.sequence = 2
    await gallery.verdict(case)

    found = await again(gallery, case)
    first = await again(gallery, case, sequence=1)

    assert (found.differences, found.outcome) == ((), "approve")
    assert found.decision is not None
    assert found.decision.outcome == "manual"
    assert (first.differences, first.outcome) == ((), "manual")


async def test_replay__over_the_desk__report_in_words_and_the_look_on_record(gallery: Approvers) -> None:
    case, officer = gallery.file(), await gallery.officer()
    gallery.answer(case, scope_covers=False)
    await gallery.verdict(case)

    told = await officer.client.replay(case.id)

    assert (told["same"], told["outcome"]) == (True, {"signed": "return", "now": "return"})
    assert told["engine"] == {"signed": ENGINE, "now": ENGINE}
    (change,) = told["changes"]
    assert (change["row"], change["input"], change["to"]) == ("GAL-04", "company.scope_covers", ["true"])
    assert change["zh"].startswith("如“")
    assert change["zh"].endswith("”为是,则不适用本条")
    assert change["en"].endswith("” were yes")
    seat = gallery.seats[gallery.lead]
    assert await seat.store.rows("select 1 from desk_act where case_id = %s", [case.id])


async def test_replay__another_engine__named(gallery: Approvers, monkeypatch: pytest.MonkeyPatch) -> None:
    case = gallery.file()
    await gallery.verdict(case)
    monkeypatch.setattr(module, "ENGINE", "zen-engine 9.9.9")

    found = await again(gallery, case)

    (difference,) = found.differences
    assert (difference.what, difference.signed, difference.now) == ("engine", ENGINE, "zen-engine 9.9.9")


async def test_replay__answer_swapped_in_the_store__named_with_input_and_outcome(gallery: Approvers) -> None:
    case = gallery.file()
    verdict, _ = await gallery.verdict(case)
    envelopes = await kept(gallery, case, "envelopes")
    other = gallery.say(case, "E06.company", attempt=2, not_on_abnormal_list=False).payload()
    swapped = [{**each, "envelope": other} if each["item"] == "E06.company" else each for each in envelopes]
    await alter(gallery, case, "envelopes", Jsonb(swapped))

    found = await again(gallery, case)

    named = {(each.what, each.name) for each in found.differences}
    assert ("content", f"answer:{other['question']}") in named
    assert ("input", "company.not_on_abnormal_list") in named
    assert {name for what, name in named if what == "input"} == {"company.not_on_abnormal_list"}
    assert ("outcome", "outcome") in named
    assert ("rows", "rows") in named
    assert verdict.outcome == "approve"
    assert found.outcome == "manual"


async def test_replay__answer_dropped_from_the_store__named(gallery: Approvers) -> None:
    case = gallery.file()
    await gallery.verdict(case)
    envelopes = await kept(gallery, case, "envelopes")
    await alter(gallery, case, "envelopes", Jsonb(envelopes[1:]))

    found = await again(gallery, case)

    assert [each.name for each in found.differences if each.what == "content"] == [
        f"answer:{envelopes[0]['envelope']['question']}"
    ]


async def test_replay__situation_altered_in_the_store__not_decided_and_said(gallery: Approvers) -> None:
    case = gallery.file()
    await gallery.verdict(case)
    file = await kept(gallery, case, "file")
    file["situation"]["values"]["decoration_area_m2"] = 1
    await alter(gallery, case, "file", Jsonb(file))

    found = await again(gallery, case)

    assert (found.decision, found.outcome) == (None, None)
    assert [each.name.split(":")[0] for each in found.differences] == ["wrong-situation"]
    assert report(found, None)["same"] is False


async def test_replay__salted_inputs_altered__the_verdict_tells(gallery: Approvers) -> None:
    case = gallery.file()
    await gallery.verdict(case)
    salted = await kept(gallery, case, "salted")
    name = next(iter(salted))
    await alter(gallery, case, "salted", Jsonb({**salted, name: "0x" + "00" * 32}))

    named = {(each.what, each.name) for each in (await again(gallery, case)).differences}

    assert named == {("content", "inputs"), ("input", name)}


async def test_replay__verdict_signed_by_somebody_else__refused(gallery: Approvers) -> None:
    case = gallery.file()
    _, jws = await gallery.verdict(case)
    forged = sign_jws({**peek_jws(jws)[1], "outcome": "refuse"}, typ=TYP, key=SigningKey.generate())
    await gallery.seats[gallery.lead].store.rows("update verdict set jws = %s where case_id = %s", [forged, case.id])

    with pytest.raises(Refused):
        await again(gallery, case)


async def test_replay__case_never_judged_here__refused(gallery: Approvers) -> None:
    with pytest.raises(Refused) as error:
        await again(gallery, gallery.file())
    assert error.value.code == "not-found"


async def test_verdict__returned__says_what_would_have_changed_it(gallery: Approvers) -> None:
    case = gallery.file()
    gallery.answer(case, scope_covers=False)
    verdict, _ = await gallery.verdict(case)

    (change,) = verdict.changes
    assert (change.row, change.input, change.to, change.but) == ("GAL-04", "company.scope_covers", ("true",), ())


async def test_verdict__sealed_values_differ__hash_of_inputs_cannot_be_tried_out(gallery: Approvers) -> None:
    """Two cases alike in every input: were the hash not salted, the orchestrator could try out sealed values."""
    one, two = gallery.file(), gallery.file()
    first, _ = await gallery.verdict(one)
    second, _ = await gallery.verdict(two)
    now, then = await again(gallery, one), await again(gallery, two)
    assert now.decision is not None
    assert then.decision is not None

    assert now.decision.inputs == then.decision.inputs
    assert first.inputs != second.inputs
    assert not set((await kept(gallery, one, "salted")).values()) & set((await kept(gallery, two, "salted")).values())


async def test_basis__as_kept__holds_nothing_open_that_came_sealed(gallery: Approvers) -> None:
    case = gallery.file()
    await gallery.verdict(case)
    stored = orjson.dumps([await kept(gallery, case, column) for column in ("file", "envelopes", "salted", "secret")])

    opened = (await again(gallery, case)).case

    assert opened is not None
    sealed = [
        str(answer.claims[claim.key])
        for (item, _), answer in opened.answers.items()
        if answer is not None
        for claim in opened.scenario.item(item).claims
        if claim.sealed_to and len(str(answer.claims[claim.key])) > 8
    ]
    assert sealed
    assert [value for value in sealed if value.encode() in stored] == []


async def test_report__words__in_both_languages(gallery: Approvers) -> None:
    case = gallery.file()
    await gallery.verdict(case)
    found = await again(gallery, case)

    told = report(found, load_catalogue())

    assert told["same"] is True
    assert [row["row"] for row in told["rows"]] == list(found.verdict.rows)
    assert all(row["zh"] and row["en"] for row in told["rows"])
    change = found.changes["GAL-99"]
    assert change is not None
    (shown,) = [each for each in told["changes"] if each["row"] == "GAL-99"]
    assert (shown["input"], tuple(shown["to"]), tuple(shown["but"])) == (change.input, change.to, change.but)
    assert shown["zh"].endswith("结果会不同")
