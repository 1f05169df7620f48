"""Replay: an approver decides a case once more from what its verdict rests on, and says what differs.

Nothing is asked of anybody: file and answers are the approver's own copies, held against the hashes that the verdict signed.
The rules are those of the verdict's version; the keys are those of the day. What was signed under another version of the
engine, or what somebody has altered in the store, shows as a difference with its name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fastapi import APIRouter, Request

from orchestrator.domain.canonical import canonical, to_hex
from orchestrator.domain.catalogue import Catalogue
from orchestrator.domain.errors import LianbanError, Refused
from orchestrator.domain.suite import hash_of
from orchestrator.domain.vocabulary import Words
from orchestrator.gateway.acts import record
from orchestrator.gateway.basis import Basis, Salts, basis_of, inputs_hash
from orchestrator.gateway.casefile import OpenCase, assemble, mandates_of, take
from orchestrator.gateway.contested import read_contests
from orchestrator.gateway.desk import officer_of
from orchestrator.gateway.mandates import MandateReader
from orchestrator.gateway.requests import SignedRequest
from orchestrator.gateway.seat import Chain, CurrentSeat, Seat
from orchestrator.gateway.verdicts import RulesByVersion, judged_by
from orchestrator.protocol.jose import jws_hash
from orchestrator.protocol.ports import ChainView
from orchestrator.protocol.verdict import Verdict, read_verdict
from orchestrator.protocol.wire import seat_ref
from orchestrator.rules.changes import Change, smallest_changes
from orchestrator.rules.engine import ENGINE, Decision
from orchestrator.rules.inputs import rule_values
from orchestrator.rules.saying import change_words, reason_words
from orchestrator.scenarios import load_catalogue

router = APIRouter()

What = Literal["engine", "rules", "content", "input", "outcome", "rows", "materials"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Something that is not as the verdict says."""

    what: What
    name: str
    """Which content or input; the same word as `what` where there is only one. Never a value."""
    signed: str
    """As the verdict has it; a hash for contents and inputs."""
    now: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What came of deciding once more."""

    verdict: Verdict
    jws: str
    """The verdict as it was signed."""
    decision: Decision | None
    """What the rules say now; None when the dossier is not there any more as it was signed."""
    outcome: str | None
    """The rules' outcome, or the officer's who decided."""
    differences: tuple[Difference, ...]
    """Empty: the same decision."""
    changes: Mapping[str, Change | None]
    """Each row that decided and the smallest change of one input with which it would not have hit."""
    case: OpenCase | None
    """The opened case. Personal: never logged."""


@router.post("/{department}/desk/replay")
async def replay_at_desk(request: SignedRequest, seat: CurrentSeat, chain: Chain, http: Request) -> dict[str, Any]:
    """An officer has a case decided once more: see `report`. The look is written down."""
    officer, asked = await officer_of(request, seat, chain, "cases")
    state, case = http.app.state, asked.case or ""
    act = await record("replay", case, officer, request.request, seat)
    found = await replay(case, seat=seat, chain=chain, reader=state.mandates, rules=state.rules)
    return report(found, await asyncio.to_thread(load_catalogue)) | {"act": act}


def report(found: Replay, catalogue: Catalogue | None) -> dict[str, Any]:
    """A replay as JSON, with reasons and changes in words as far as the dossier is there."""
    verdict, scenario = found.verdict, found.case.scenario if found.case else None
    return {
        "case": verdict.case,
        "sequence": verdict.sequence,
        "verdict": jws_hash(found.jws),
        "signed_at": verdict.iat,
        "seat": verdict.iss,
        "rules": verdict.version,
        "engine": {"signed": verdict.engine, "now": ENGINE},
        "rests_on": {
            "mandates": list(verdict.mandates),
            "situation": verdict.situation,
            "answers": [answer.model_dump() for answer in verdict.answers],
            "materials": [material.model_dump() for material in verdict.materials],
            "inputs": verdict.inputs,
        },
        "outcome": {"signed": verdict.outcome, "now": found.outcome},
        "proposed": found.decision.proposed if found.decision else None,
        "by_officer": verdict.officer is not None,
        "countersigned": verdict.second is not None,
        "same": not found.differences,
        "differences": [
            {"what": each.what, "name": each.name, "signed": each.signed, "now": each.now} for each in found.differences
        ],
        "rows": [{"row": row, **_said(reason_words(scenario, row) if scenario else None)} for row in verdict.rows],
        "changes": [
            {"row": row, "input": one.input, "to": list(one.to), "but": list(one.but)}
            | _said(change_words(scenario, catalogue, **_fields(one)) if scenario else None)
            for row, one in found.changes.items()
            if one is not None
        ],
    }


def _fields(one: Change) -> dict[str, Any]:
    return {"row": one.row, "input": one.input, "to": one.to, "but": one.but}


def _said(words: Words | None) -> dict[str, str]:
    return {} if words is None else {"zh": words.zh, "en": words.en}


async def replay(
    case: str,
    *,
    seat: Seat,
    chain: ChainView,
    reader: MandateReader,
    rules: RulesByVersion,
    sequence: int | None = None,
) -> Replay:
    """Decides a case once more as for this seat's newest verdict on it, or the one of that number.

    Raises Refused("not-found") when there is none, "bad-signature" when it is not signed by a key of this seat.
    """
    rows = await seat.store.rows(
        "select jws, sequence from verdict where case_id = %s and (%s::int is null or sequence = %s)"
        " order by sequence desc limit 1",
        [case, sequence, sequence],
    )
    if not rows:
        raise Refused(
            "本席位没有该办件的审批意见",
            detail_en="this seat has no verdict on this case",
            code="not-found",
            remedy="核对办件编号与部门 / check the case's id and the department",
        )
    jws, own = str(rows[0]["jws"]), await chain.seat(seat.number)
    verdict = read_verdict(jws, own.key_of("evidence", jws))
    if (verdict.iss, verdict.case) != (seat_ref(seat.number), case):
        raise Refused("审批意见属于其他办件", detail_en="the verdict is of another case", code="bad-signature")
    basis = await basis_of(case, verdict.sequence, seat)
    different = [*_contents(verdict, basis)]
    if verdict.engine != ENGINE:
        different.append(Difference(what="engine", name="engine", signed=verdict.engine, now=ENGINE))
    try:
        opened = await _opened(verdict, basis, seat, chain, reader)
    except LianbanError as error:
        name = f"{error.code}:{error.detail_en}"
        different.append(Difference(what="content", name=name, signed="", now=""))
        return Replay(
            verdict=verdict,
            jws=jws,
            decision=None,
            outcome=None,
            differences=tuple(different),
            changes={},
            case=None,
        )
    version = to_hex(hash_of(canonical(opened.scenario.definition())))
    if version != verdict.version:
        different.append(Difference(what="rules", name="rules", signed=verdict.version, now=version))
    tables, traits = rules.of(opened)
    values = rule_values(opened.scenario, opened.facts())
    decision = tables.decide(verdict.role, values)
    different += _inputs(verdict, basis, decision, seat)
    second = verdict.second.model_dump() if verdict.second else None
    decided = verdict.officer
    officer = None if decided is None else {**decided.model_dump(), "second": second, "materials_wanted": ()}
    judged = judged_by(opened, decision, officer, own)
    different += _outcome(verdict, judged.outcome, judged.rows)
    if officer is None and judged.materials_wanted != verdict.materials_wanted:
        signed, now = ",".join(verdict.materials_wanted), ",".join(judged.materials_wanted)
        different.append(Difference(what="materials", name="materials_wanted", signed=signed, now=now))
    return Replay(
        verdict=verdict,
        jws=jws,
        decision=decision,
        outcome=judged.outcome,
        differences=tuple(different),
        changes=smallest_changes(tables, verdict.role, values, traits),
        case=opened,
    )


async def _opened(verdict: Verdict, basis: Basis, seat: Seat, chain: ChainView, reader: MandateReader) -> OpenCase:
    """The case as it was when the verdict was signed: the same file, the same answers, judged at that moment."""
    read = await reader.read(basis.file.mandates, chain)
    mandates = mandates_of(verdict.case, basis.file.mandates, read, chain)
    opened = await assemble(basis.file, mandates, read.bindings[verdict.binding], seat)
    asked = {(item.id, index): (question, item, provider) for question, item, index, provider in opened.questions()}
    opened.answers = dict.fromkeys(asked)
    for name, index, envelope in basis.answers:
        question, item, provider = asked[name, index]
        if envelope.question == question:
            take(opened, envelope, item, index, await chain.seat(provider), seat, verdict.iat)
    await read_contests(opened, (), chain)
    return opened


def _contents(verdict: Verdict, basis: Basis) -> Iterator[Difference]:
    """Where the kept file and answers are not those that the verdict names."""
    held = {("mandate", str(n)): jws_hash(jws) for n, jws in enumerate(basis.file.mandates)}
    named = {("mandate", str(n)): each for n, each in enumerate(verdict.mandates)}
    held |= {("material", each.id): each.hash for each in basis.file.materials}
    named |= {("material", each.id): each.hash for each in verdict.materials}
    kept = {envelope.question: jws_hash(envelope.answer) for _, _, envelope in basis.answers}
    named |= {("answer", each.question): each.hash for each in verdict.answers}
    # What did not count (refused, too old, faulty) is kept too, so that it is judged once more.
    held |= {("answer", each.question): kept[each.question] for each in verdict.answers if each.question in kept}
    for place in sorted(held.keys() | named.keys()):
        if held.get(place) != named.get(place):
            yield Difference(what="content", name=":".join(place), signed=named.get(place, ""), now=held.get(place, ""))
    if inputs_hash(basis.inputs) != verdict.inputs:
        yield Difference(what="content", name="inputs", signed=verdict.inputs, now=inputs_hash(basis.inputs))


def _inputs(verdict: Verdict, basis: Basis, decision: Decision, seat: Seat) -> Iterator[Difference]:
    """The inputs of the rules that have another value now."""
    try:
        salted = Salts(seat=seat).commit(basis.secret, verdict.case, verdict.sequence, decision.inputs)
    except Refused as error:
        yield Difference(what="content", name=f"secret:{error.code}", signed="", now="")
        return
    for name in sorted(salted.keys() | basis.inputs.keys()):
        if salted.get(name) != basis.inputs.get(name):
            yield Difference(what="input", name=name, signed=basis.inputs.get(name, ""), now=salted.get(name, ""))


def _outcome(verdict: Verdict, outcome: str, rows: tuple[str, ...]) -> Iterator[Difference]:
    if outcome != verdict.outcome:
        yield Difference(what="outcome", name="outcome", signed=verdict.outcome, now=outcome)
    if rows != verdict.rows:
        yield Difference(what="rows", name="rows", signed=",".join(verdict.rows), now=",".join(rows))
