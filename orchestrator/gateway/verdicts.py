"""Verdicts: the rules run over verified cases, the seat signs what comes out, officers get what is theirs to decide."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from psycopg.types.json import Jsonb

from orchestrator.domain.canonical import canonical, sha256, to_hex
from orchestrator.domain.errors import Invalid, LianbanError
from orchestrator.gateway.casefile import CaseFile, OpenCase, fetch_answers, open_cases
from orchestrator.gateway.mandates import MandateReader
from orchestrator.gateway.requests import SignedBody, read_signed
from orchestrator.gateway.seat import Chain, CurrentSeat, Seat
from orchestrator.protocol.jose import jws_hash
from orchestrator.protocol.officer import read_decision
from orchestrator.protocol.ports import ChainView
from orchestrator.protocol.sheet import Status
from orchestrator.protocol.verdict import AnswerRef, MaterialRef, OfficerDecision, Verdict, sign_verdict
from orchestrator.protocol.wire import WireModel, read_model, seat_ref
from orchestrator.rules.engine import ENGINE, Decision, Rules
from orchestrator.rules.inputs import rule_values

router = APIRouter()

MOST_UPDATES = 1000


class VerdictsBody(WireModel):
    """Body of a request of kind `verdicts`."""

    cases: list[CaseFile]


class UpdatesBody(WireModel):
    """Body of a request of kind `updates`."""

    since: int


@dataclass(slots=True, kw_only=True)
class RulesByVersion:
    """Rules that were loaded in this process, by scenario version."""

    known: dict[str, Rules] = field(default_factory=dict)

    def of(self, case: OpenCase) -> Rules:
        """The rules of a case's version."""
        version = case.scenario.version
        if version not in self.known:
            self.known[version] = Rules(case.scenario.definition())
        return self.known[version]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A case with what the rules, or an officer, said of it."""

    case: OpenCase
    decision: Decision
    officer: OfficerDecision | None
    outcome: str
    rows: tuple[str, ...]
    materials_wanted: tuple[str, ...]


@router.post("/{department}/verdicts")
async def verdicts(request: SignedBody, seat: CurrentSeat, chain: Chain, http: Request) -> Response:
    """Signed verdicts on cases: `{"verdicts": [{case, verdict}], "refused": [{case, code, detail, items}]}`."""
    asker, _ = await read_signed(request, "verdicts", seat, chain)
    body = read_model(VerdictsBody, request.body, code="bad-request")
    reader: MandateReader = http.app.state.mandates
    now = int(time.time())
    opened = await open_cases(body.cases, seat=seat, chain=chain, reader=reader, asker=asker)
    refused = [_refusal(case, error) for case, error in opened.items() if isinstance(error, LianbanError)]
    good = [case for case in opened.values() if isinstance(case, OpenCase)]
    await fetch_answers(good, seat=seat, chain=chain, client=http.app.state.clients[seat.id], now=now)
    stale = [case for case in good if case.stale]
    refused += [
        {"case": case.file.case, "code": "stale-evidence", "detail": "", "items": sorted(set(case.stale))}
        for case in stale
    ]
    judged, faulty = await _judge([case for case in good if not case.stale], seat, http.app.state.rules)
    refused += [_refusal(case, error) for case, error in faulty]
    signed = await _sign(judged, seat, now)
    await _queue([each for each in judged if each.outcome == "manual"], seat, chain)
    await _leave_desk([each.case.file.case for each in judged if each.outcome != "manual"], seat)
    return Response(
        orjson.dumps(
            {"verdicts": [{"case": case, "verdict": jws} for case, jws in signed.items()], "refused": refused}
        ),
        media_type="application/json",
    )


@router.post("/{department}/verdicts/updates")
async def updates(request: SignedBody, seat: CurrentSeat, chain: Chain) -> dict[str, Any]:
    """What officers decided or revoked since a cursor, for cases under bindings that the asker operates."""
    await read_signed(request, "updates", seat, chain)
    since = read_model(UpdatesBody, request.body, code="bad-request").since
    rows = await seat.store.rows(
        "select id, case_id, sequence, revocation from desk_update where id > %s order by id limit %s",
        [since, MOST_UPDATES],
    )
    found = []
    for row in rows:
        entry: dict[str, Any] = {"case": row["case_id"], "sequence": row["sequence"]}
        entry |= {"order": row["revocation"]} if row["revocation"] else {"decided": True}
        found.append(entry)
    return {"updates": found, "next": rows[-1]["id"] if rows else since}


async def _judge(
    cases: Sequence[OpenCase], seat: Seat, rules: RulesByVersion
) -> tuple[list[Judged], list[tuple[str, LianbanError]]]:
    by_version: dict[tuple[str, str], list[OpenCase]] = defaultdict(list)
    for case in cases:
        by_version[case.scenario.version, case.role].append(case)
    decisions = await _decisions(cases, seat)
    judged: list[Judged] = []
    faulty: list[tuple[str, LianbanError]] = []
    for (_, role), group in by_version.items():
        values = [rule_values(case.scenario, case.facts()) for case in group]
        results = await rules.of(group[0]).decide_many(role, values)
        for case, result in zip(group, results, strict=True):
            if isinstance(result, Invalid):
                faulty.append((case.file.case, result))
            else:
                judged.append(_judged(case, result, decisions.get(case.file.case), seat))
    return judged, faulty


async def _decisions(cases: Sequence[OpenCase], seat: Seat) -> dict[str, dict[str, Any]]:
    """What officers decided of exactly these cases, sequence numbers and mandates."""
    rows = await seat.store.rows("select * from decision where case_id = any(%s)", [[case.file.case for case in cases]])
    keyed = {(row["case_id"], row["sequence"], row["mandate"]): row for row in rows}
    found = {}
    for case in cases:
        row = keyed.get((case.file.case, case.file.sequence, case.mandate_hash))
        if row is not None:
            found[case.file.case] = row
    return found


def _judged(case: OpenCase, decision: Decision, officer: dict[str, Any] | None, seat: Seat) -> Judged:
    rows = tuple(dict.fromkeys(hit.id for hit in decision.hits))
    if officer is None:
        return Judged(
            case=case,
            decision=decision,
            officer=None,
            outcome=decision.outcome,
            rows=rows,
            materials_wanted=decision.materials_wanted,
        )
    said, _ = read_decision(
        officer["decision"], officer["certificate"], seat=seat.number, jwk=seat.keyset.key("evidence")
    )
    return Judged(
        case=case,
        decision=decision,
        officer=OfficerDecision(certificate=officer["certificate"], decision=officer["decision"]),
        outcome=said.outcome,
        rows=tuple(said.rows),
        materials_wanted=tuple(officer["materials_wanted"]),
    )


async def _sign(judged: Sequence[Judged], seat: Seat, now: int) -> dict[str, str]:
    """Verdicts by case. The same inputs give the same verdict again; what a sheet was signed for stays."""
    ids = [each.case.file.case for each in judged]
    kept = {
        (row["case_id"], row["sequence"]): row
        for row in await seat.store.rows("select * from verdict where case_id = any(%s)", [ids])
    }
    signed: dict[str, str] = {}
    rows = []
    for each in judged:
        file = each.case.file
        inputs = to_hex(sha256(canonical([each.decision.inputs_hash, _basis(each)])))
        before = kept.get((file.case, file.sequence))
        if before is not None and before["inputs"] == inputs:
            signed[file.case] = str(before["jws"])
            continue
        jws = sign_verdict(_verdict(each, seat, now), seat.keys.evidence)
        signed[file.case] = jws
        rows.append(
            {
                "case_id": file.case,
                "sequence": file.sequence,
                "inputs": inputs,
                "mandate": each.case.mandate_hash,
                "outcome": each.outcome,
                "answers": _ages(each.case),
                "jws": jws,
            }
        )
    if rows:
        await seat.store.rows(
            """
            insert into verdict (case_id, sequence, inputs, mandate, outcome, answers, jws)
            select v.case_id, v.sequence, v.inputs, v.mandate, v.outcome, v.answers, v.jws
            from jsonb_to_recordset(%s) as v(case_id text, sequence int, inputs text, mandate text, outcome text,
                                             answers jsonb, jws text)
            on conflict (case_id, sequence) do update
            set inputs = excluded.inputs, mandate = excluded.mandate, outcome = excluded.outcome,
                answers = excluded.answers, jws = excluded.jws, made_at = now()
            """,
            [Jsonb(rows)],
        )
    return signed


def _basis(each: Judged) -> list[Any]:
    """What a verdict rests on besides the rules' inputs."""
    return [
        [jws_hash(jws) for jws in each.case.file.mandates],
        sorted(answer.hash for answer in each.case.answers.values() if answer is not None),
        each.officer.decision if each.officer else None,
    ]


def _ages(case: OpenCase) -> list[dict[str, Any]]:
    return [
        {"item": item, "until": min(answer.exp, answer.iat + case.scenario.item(item).max_age)}
        for (item, _), answer in case.answers.items()
        if answer is not None
    ]


def _verdict(each: Judged, seat: Seat, now: int) -> Verdict:
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
        inputs=each.decision.inputs_hash,
        engine=ENGINE,
        officer=each.officer,
        iat=now,
    )


async def _queue(manual: Sequence[Judged], seat: Seat, chain: ChainView) -> None:
    """Puts cases that wait for an officer on the desk; a case that is there gets its newest state."""
    rows = []
    for each in manual:
        status, _, _ = await chain.status_of(each.case.file.case)
        # An accepted case waits under its present number; any other is first accepted under it.
        sequence = each.case.file.sequence + (0 if status == Status.ACCEPTED else 1)
        rows.append(
            {
                "case_id": each.case.file.case,
                "sequence": sequence,
                "mandate": each.case.mandate_hash,
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
            insert into queue_item (case_id, sequence, mandate, scenario, proposed, rows, materials_wanted, file)
            select q.case_id, q.sequence, q.mandate, q.scenario, q.proposed, q.rows, q.materials_wanted, q.file
            from jsonb_to_recordset(%s) as q(case_id text, sequence int, mandate text, scenario text, proposed text,
                                             rows jsonb, materials_wanted jsonb, file jsonb)
            on conflict (case_id) do update
            set sequence = excluded.sequence, mandate = excluded.mandate, proposed = excluded.proposed,
                rows = excluded.rows, materials_wanted = excluded.materials_wanted, file = excluded.file, done_at = null
            """,
            [Jsonb(rows)],
        )


async def _leave_desk(cases: list[str], seat: Seat) -> None:
    """Cases that no longer wait for an officer."""
    if cases:
        await seat.store.rows(
            "update queue_item set done_at = now() where case_id = any(%s) and done_at is null", [cases]
        )


def _refusal(case: str, error: LianbanError) -> dict[str, Any]:
    return {"case": case, "code": error.code, "detail": error.detail, "detail_en": error.detail_en, "items": []}
