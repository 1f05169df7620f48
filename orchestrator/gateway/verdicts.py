"""Verdicts: the rules run over verified cases, the seat signs what comes out, officers get what is theirs to decide."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import orjson
from fastapi import APIRouter, Request, Response
from psycopg.types.json import Jsonb
from pydantic import Field

from orchestrator.domain.canonical import canonical, to_hex
from orchestrator.domain.errors import Invalid, LianbanError, Refused
from orchestrator.domain.suite import hash_of
from orchestrator.gateway.basis import Salts, basis_row, inputs_hash
from orchestrator.gateway.casefile import CaseFile, OpenCase, fetch_answers, open_cases
from orchestrator.gateway.contested import against, waiting
from orchestrator.gateway.mandates import MandateReader
from orchestrator.gateway.requests import SignedBody, read_signed
from orchestrator.gateway.seat import Chain, CurrentSeat, Seat
from orchestrator.gateway.withdrawn import bar_withdrawn
from orchestrator.protocol.countersign import check_officers, read_officers
from orchestrator.protocol.jose import jws_hash, peek_jws
from orchestrator.protocol.ports import BindingView, ChainView, SeatView, seat_knowing
from orchestrator.protocol.sheet import Status
from orchestrator.protocol.verdict import (
    AnswerRef,
    Change,
    MaterialRef,
    OfficerDecision,
    SecondOfficer,
    Verdict,
    read_verdict,
    sign_verdict,
)
from orchestrator.protocol.wire import WireModel, read_model, seat_ref
from orchestrator.rules import changes
from orchestrator.rules.changes import open_changes
from orchestrator.rules.engine import ENGINE, Decision, Rules
from orchestrator.rules.inputs import rule_values
from orchestrator.rules.traits import Trait, traits

router = APIRouter()

MOST_CASES: Final = 256
MOST_UPDATES: Final = 1000


class VerdictsBody(WireModel):
    """Body of a request of kind `verdicts`."""

    cases: list[CaseFile] = Field(max_length=MOST_CASES)


class UpdatesBody(WireModel):
    """Body of a request of kind `updates`."""

    since: int


@dataclass(slots=True, kw_only=True)
class RulesByVersion:
    """Rules that were loaded in this process, by scenario version, and what there is to know of their inputs."""

    known: dict[str, tuple[Rules, dict[str, Trait]]] = field(default_factory=dict)

    def of(self, case: OpenCase) -> tuple[Rules, dict[str, Trait]]:
        """The rules of a case's version, and the traits of their inputs."""
        version = case.scenario.version
        if version not in self.known:
            self.known[version] = Rules(case.scenario.definition()), traits(case.scenario)
        return self.known[version]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A case with what the rules, or an officer, said of it."""

    case: OpenCase
    decision: Decision
    officer: OfficerDecision | None
    second: SecondOfficer | None
    outcome: str
    rows: tuple[str, ...]
    materials_wanted: tuple[str, ...]
    changes: tuple[Change, ...] = ()


@router.post("/{department}/verdicts")
async def verdicts(request: SignedBody, seat: CurrentSeat, chain: Chain, http: Request) -> Response:
    """Signed verdicts on cases: `{"verdicts": [{case, verdict}], "refused": [{case, code, detail, items}]}`."""
    asker, _ = await read_signed(request, "verdicts", seat, chain)
    body = read_model(VerdictsBody, request.body, code="bad-request")
    reader: MandateReader = http.app.state.mandates
    now = int(time.time())
    opened = await open_cases(body.cases, seat=seat, chain=chain, reader=reader, asker=asker, now=now)
    given = await _given(opened, seat)
    await bar_withdrawn(opened, seat)
    refused = [_refusal(case, error) for case, error in opened.items() if isinstance(error, LianbanError)]
    good = [case for case in opened.values() if isinstance(case, OpenCase)]
    await fetch_answers(good, seat=seat, chain=chain, client=http.app.state.clients[seat.id], now=now)
    contested = waiting(good, now)
    await leave_desk([case.file.case for case in contested], seat)
    ready = []
    for case in good:
        if case in contested:
            refused.append(_refusal(case.file.case, _contested()))
        elif case.unreached or case.stale:
            refused.append(_waiting(case))
        else:
            ready.append(case)
    judged, faulty = await _judge(ready, seat, await chain.seat(seat.number), http.app.state.rules)
    refused += [_refusal(case, error) for case, error in faulty]
    signed = await _sign(judged, given, seat, now)
    await _queue([each for each in judged if each.outcome == "manual"], seat, chain)
    await leave_desk([each.case.file.case for each in judged if each.outcome != "manual"], seat)
    return Response(
        orjson.dumps(
            {"verdicts": [{"case": case, "verdict": jws} for case, jws in signed.items()], "refused": refused}
        ),
        media_type="application/json",
    )


@router.post("/{department}/verdicts/updates")
async def updates(request: SignedBody, seat: CurrentSeat, chain: Chain) -> dict[str, Any]:
    """What officers decided, revoked or let stand since a cursor, and what the identity seat said was withdrawn, for cases under
    bindings that the asker operates."""
    asker, _ = await read_signed(request, "updates", seat, chain)
    since = read_model(UpdatesBody, request.body, code="bad-request").since
    rows = await seat.store.rows(
        "select id, case_id, sequence, revocation, upheld, withdrawal from desk_update where id > %s and operator = %s"
        " order by id limit %s",
        [since, asker.number, MOST_UPDATES],
    )
    found = []
    for row in rows:
        entry: dict[str, Any] = {"case": row["case_id"], "sequence": row["sequence"]}
        if row["revocation"]:
            entry["order"] = row["revocation"]
        elif row["upheld"]:
            entry["upheld"] = row["upheld"]
        elif row["withdrawal"]:
            entry["withdrawal"] = row["withdrawal"]
        else:
            entry["decided"] = True
        found.append(entry)
    return {"updates": found, "next": rows[-1]["id"] if rows else since}


async def verdicts_of(
    tokens: Sequence[str],
    case: str,
    sequence: int,
    binding: BindingView,
    mandates: Sequence[str],
    *,
    chain: ChainView,
    seat: Seat,
) -> dict[int, tuple[Verdict, str]]:
    """One verdict of every approver of the binding on this case, number and mandates, each signed by its seat and by the
    officers that the scenario wants, as `seat` reads it.

    Raises Refused: "verdict-missing", "unknown-version", and as `check_officers`.
    """
    scenario = (await seat.scenarios.of([binding.version], seat.store)).get(binding.version)
    if scenario is None:
        raise Refused("本席位没有该场景版本", detail_en="this seat lacks the version", code="unknown-version")
    found: dict[int, tuple[Verdict, str]] = {}
    hashes = tuple(jws_hash(jws) for jws in mandates)
    for number in binding.approvers:
        theirs = [jws for jws in tokens if _says_to_be_by(jws, number)]
        approver = await seat_knowing(chain, await chain.seat(number), "evidence", theirs)
        for jws in theirs:
            try:
                verdict = read_verdict(jws, approver.key_of("evidence", jws))
            except (Refused, Invalid):  # another seat's, or none at all
                continue
            place = (verdict.iss, verdict.case, verdict.sequence, verdict.binding, verdict.mandates)
            if place == (seat_ref(number), case, sequence, binding.number, hashes):
                role = scenario.approvers[binding.approvers.index(number)]
                check_officers(verdict, approver, two=role in scenario.countersign)
                found[number] = verdict, jws
                break
    if len(found) != len(binding.approvers):
        raise Refused("缺少审批意见", detail_en="a verdict is missing or does not hold", code="verdict-missing")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A verdict that was given before."""

    rests_on: str
    """Hash of everything that it rests on."""
    jws: str
    secret: str
    """From which the salts of its inputs were made, sealed to this seat."""


async def _given(opened: dict[str, OpenCase | LianbanError], seat: Seat) -> dict[tuple[str, int], Given]:
    """The verdicts that this seat has given on the cases, by case and number.

    A case that comes without a mandate which this seat has judged before is refused: whoever carries the cases cannot take
    back what the applicant has changed.
    """
    rows = await seat.store.rows(
        "select case_id, sequence, inputs, jws, secret from verdict join basis using (case_id, sequence)"
        " where case_id = any(%s)",
        [list(opened)],
    )
    given = {}
    for row in rows:
        name, jws = str(row["case_id"]), str(row["jws"])
        before = Given(rests_on=str(row["inputs"]), jws=jws, secret=str(row["secret"]))
        given[name, int(str(row["sequence"]))] = before
        case = opened[name]
        if isinstance(case, OpenCase):
            brought = {jws_hash(each) for each in case.file.mandates}
            if not brought >= set(peek_jws(jws)[1]["mandates"]):
                opened[name] = Refused(
                    "申请人此后另有授权", detail_en="the applicant has signed another mandate since", code="superseded"
                )
    return given


async def _judge(
    cases: Sequence[OpenCase], seat: Seat, own: SeatView, rules: RulesByVersion
) -> tuple[list[Judged], list[tuple[str, LianbanError]]]:
    by_version: dict[tuple[str, str], list[OpenCase]] = defaultdict(list)
    for case in cases:
        by_version[case.scenario.version, case.role].append(case)
    decisions = await _decisions(cases, seat)
    judged: list[Judged] = []
    faulty: list[tuple[str, LianbanError]] = []
    for (_, role), group in by_version.items():
        values: dict[str, Mapping[str, Any]] = {}
        for case in group:
            try:
                values[case.file.case] = rule_values(case.scenario, case.facts())
            except Invalid as error:
                faulty.append((case.file.case, error))
        readable = [case for case in group if case.file.case in values]
        tables, known = rules.of(group[0])
        results = await tables.decide_many(role, list(values.values()))
        for case, result in zip(readable, results, strict=True):
            if isinstance(result, Invalid):
                faulty.append((case.file.case, result))
            else:
                try:
                    each = judged_by(case, result, decisions.get(case.file.case), own)
                except LianbanError as error:
                    faulty.append((case.file.case, error))
                    continue
                if each.outcome != "approve":
                    found = open_changes(tables, role, each.rows, values[case.file.case], known)
                    each = replace(each, changes=tuple(_change(one) for one in found))
                judged.append(each)
    return judged, faulty


async def _decisions(cases: Sequence[OpenCase], seat: Seat) -> dict[str, dict[str, Any]]:
    """What officers decided of exactly these cases, sequence numbers and mandates, countersigned where that is wanted."""
    rows = await seat.store.rows(
        "select * from decision where case_id = any(%s) and not awaits", [[case.file.case for case in cases]]
    )
    keyed = {(row["case_id"], row["sequence"], row["mandate"]): row for row in rows}
    found = {}
    for case in cases:
        row = keyed.get((case.file.case, case.file.sequence, case.mandate_hash))
        # Who decided before a claim was contested, or before the department replied, decides once more.
        if row is not None and all(each.since <= peek_jws(row["decision"])[1]["iat"] for each in case.contests):
            found[case.file.case] = row
    return found


def _change(one: changes.Change) -> Change:
    return Change(row=one.row, input=one.input, to=one.to, but=one.but)


def judged_by(case: OpenCase, decision: Decision, officer: Mapping[str, Any] | None, own: SeatView) -> Judged:
    """What the rules say of a case, or the officer who decided it ({certificate, decision, materials_wanted, second}). Raises
    Refused when that decision is not one of an officer of the seat, or not countersigned where the scenario wants it."""
    rows = tuple(dict.fromkeys(hit.id for hit in decision.hits))
    if officer is None:
        return Judged(
            case=case,
            decision=decision,
            officer=None,
            second=None,
            outcome="manual" if against(decision.outcome, case) else decision.outcome,
            rows=rows,
            materials_wanted=decision.materials_wanted,
        )
    decided = OfficerDecision(certificate=officer["certificate"], decision=officer["decision"])
    second = SecondOfficer(**officer["second"]) if officer["second"] else None
    said = read_officers(decided, second, own, two=case.role in case.scenario.countersign).decision
    return Judged(
        case=case,
        decision=decision,
        officer=decided,
        second=second,
        outcome=said.outcome,
        rows=tuple(said.rows),
        materials_wanted=tuple(officer["materials_wanted"]),
    )


async def _sign(
    judged: Sequence[Judged], given: Mapping[tuple[str, int], Given], seat: Seat, now: int
) -> dict[str, str]:
    """Verdicts by case. The same inputs give the same verdict again; others replace what was given before. A sheet that was
    signed meanwhile holds this seat to its outcome until it can no longer land."""
    signed: dict[str, str] = {}
    rows, salts = [], Salts(seat=seat)
    for each in judged:
        file, texts = each.case.file, each.decision.inputs
        before = given.get((file.case, file.sequence))
        if before is not None:
            salted = salts.commit(before.secret, file.case, file.sequence, texts)
            if before.rests_on == _rests_on(each, salted):
                signed[file.case] = before.jws
                continue
        secret = salts.new()
        salted = salts.commit(secret, file.case, file.sequence, texts)
        jws = sign_verdict(_verdict(each, seat, inputs_hash(salted), now), seat.keys.evidence)
        signed[file.case] = jws
        rows.append(
            {
                "case_id": file.case,
                "sequence": file.sequence,
                "inputs": _rests_on(each, salted),
                "mandate": each.case.mandate_hash,
                "outcome": each.outcome,
                "answers": _ages(each.case),
                "jws": jws,
                **basis_row(each.case, secret, salted, seat.number),
            }
        )
    if rows:
        await seat.store.rows(
            """
            with v as (
              select * from jsonb_to_recordset(%s) as v(case_id text, sequence int, inputs text, mandate text, outcome text,
                answers jsonb, jws text, secret text, salted jsonb, file jsonb, envelopes jsonb)
            ), kept as (
              insert into basis (case_id, sequence, secret, salted, file, envelopes)
              select case_id, sequence, secret, salted, file, envelopes from v
              on conflict (case_id, sequence) do update
              set secret = excluded.secret, salted = excluded.salted, file = excluded.file, envelopes = excluded.envelopes
            )
            insert into verdict (case_id, sequence, inputs, mandate, outcome, answers, jws)
            select case_id, sequence, inputs, mandate, outcome, answers, jws from v
            on conflict (case_id, sequence) do update
            set inputs = excluded.inputs, mandate = excluded.mandate, outcome = excluded.outcome,
                answers = excluded.answers, jws = excluded.jws, made_at = now()
            """,
            [Jsonb(rows)],
        )
    return signed


def _rests_on(each: Judged, salted: Mapping[str, str]) -> str:
    return to_hex(hash_of(canonical([inputs_hash(salted), _basis(each)])))


def _basis(each: Judged) -> list[Any]:
    """What a verdict rests on besides the rules' inputs."""
    return [
        [jws_hash(jws) for jws in each.case.file.mandates],
        sorted(answer.hash for answer in each.case.answers.values() if answer is not None),
        [one.ref.model_dump() for one in each.case.contests],
        each.officer.decision if each.officer else None,
        each.second.countersign if each.second else None,
    ]


def _ages(case: OpenCase) -> list[dict[str, Any]]:
    return [
        {"item": item, "until": min(answer.exp, answer.iat + case.scenario.item(item).max_age)}
        for (item, _), answer in case.answers.items()
        if answer is not None
    ]


def _verdict(each: Judged, seat: Seat, inputs: str, now: int) -> Verdict:
    case = each.case
    return Verdict(
        iss=seat_ref(seat.number),
        case=case.file.case,
        sequence=case.file.sequence,
        binding=case.binding.number,
        version=case.scenario.version,
        role=case.role,
        mandates=tuple(jws_hash(jws) for jws in case.file.mandates),
        situation=case.mandate.situation,
        answers=tuple(
            AnswerRef(question=answer.question, attempt=answer.attempt, hash=answer.hash)
            for _, answer in sorted(case.answers.items())
            if answer is not None
        ),
        materials=tuple(MaterialRef(id=ref.id, hash=ref.hash) for ref in case.listed),
        outcome=each.outcome,  # type: ignore[arg-type]
        rows=each.rows,
        materials_wanted=each.materials_wanted,
        changes=each.changes,
        contests=tuple(one.ref for one in case.contests),
        inputs=inputs,
        engine=ENGINE,
        officer=each.officer,
        second=each.second,
        iat=now,
    )


async def _queue(manual: Sequence[Judged], seat: Seat, chain: ChainView) -> None:
    """Puts cases that wait for an officer on the desk; a case that is there gets its newest state."""
    statuses = await chain.statuses([each.case.file.case for each in manual])
    rows = []
    for each, (status, _, _) in zip(manual, statuses, strict=True):
        # An accepted case waits under its present number; any other is first accepted under it.
        sequence = each.case.file.sequence + (0 if status == Status.ACCEPTED else 1)
        rows.append(
            {
                "case_id": each.case.file.case,
                "sequence": sequence,
                "mandate": each.case.mandate_hash,
                "operator": each.case.binding.operator,
                "scenario": each.case.scenario.id,
                "proposed": each.decision.proposed,
                "rows": list(each.rows),
                "materials_wanted": list(
                    dict.fromkeys(hit.material for hit in each.decision.hits if hit.material is not None)
                ),
                "file": each.case.file.model_dump(mode="json"),
            }
        )
    if rows:
        await seat.store.rows(
            """
            insert into queue_item (case_id, sequence, mandate, operator, scenario, proposed, rows, materials_wanted, file)
            select q.case_id, q.sequence, q.mandate, q.operator, q.scenario, q.proposed, q.rows, q.materials_wanted, q.file
            from jsonb_to_recordset(%s) as q(case_id text, sequence int, mandate text, operator int, scenario text,
                                             proposed text, rows jsonb, materials_wanted jsonb, file jsonb)
            on conflict (case_id) do update
            set sequence = excluded.sequence, mandate = excluded.mandate, proposed = excluded.proposed,
                rows = excluded.rows, materials_wanted = excluded.materials_wanted, file = excluded.file, done_at = null
            """,
            [Jsonb(rows)],
        )


async def leave_desk(cases: list[str], seat: Seat) -> None:
    """Cases that no longer wait for an officer."""
    if cases:
        await seat.store.rows(
            "update queue_item set done_at = now() where case_id = any(%s) and done_at is null", [cases]
        )


def _waiting(case: OpenCase) -> dict[str, Any]:
    """Why a case is not judged now: a provider is not reached, or what it said last is too old."""
    down = bool(case.unreached)
    error = Refused(
        "数据提供部门暂不可达" if down else "核验数据已过时效",
        detail_en="a provider is not reached" if down else "an answer is too old",
        code="provider-down" if down else "stale-evidence",
    )
    return _refusal(case.file.case, error) | {"items": sorted({*case.unreached, *case.stale})}


def _contested() -> Refused:
    return Refused(
        "申请人对核验数据有异议,等待部门答复", detail_en="a claim is contested, the reply is awaited", code="contested"
    )


def _refusal(case: str, error: LianbanError) -> dict[str, Any]:
    return {"case": case, "code": error.code, "detail": error.detail, "detail_en": error.detail_en, "items": []}


def _says_to_be_by(jws: str, seat: int) -> bool:
    """Whether a token says that it is by a seat, unverified."""
    try:
        return bool(peek_jws(jws)[1].get("iss") == seat_ref(seat))
    except Refused:
        return False
