"""Sheets: the approver's gateway signs the one outcome of each case and sequence number, and never a second one while the
first can still land.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import psycopg
from fastapi import APIRouter, Request
from psycopg.types.json import Jsonb
from pydantic import Field, field_validator

from orchestrator.database import Row
from orchestrator.domain.canonical import from_hex, to_hex
from orchestrator.domain.case import Status, may_move
from orchestrator.domain.dossier import Dossier
from orchestrator.domain.errors import LianbanError, Refused
from orchestrator.domain.scenario import Scenario
from orchestrator.domain.suite import hash_of
from orchestrator.gateway.casefile import mandates_of
from orchestrator.gateway.mandates import MandateReader, MandatesRead
from orchestrator.gateway.requests import SignedBody, read_signed
from orchestrator.gateway.seat import Chain, CurrentSeat, Seat
from orchestrator.gateway.store import WITHDRAWALS
from orchestrator.gateway.suspension import require_reinstatement, require_suspension
from orchestrator.gateway.verdicts import MOST_CASES, verdicts_of
from orchestrator.protocol.jose import jws_hash, verify_jws
from orchestrator.protocol.mandate import Mandate
from orchestrator.protocol.ports import BindingView, ChainView, SeatView
from orchestrator.protocol.sheet import Transition, sheet_digest
from orchestrator.protocol.upholding import MOST_RECALLS
from orchestrator.protocol.verdict import STATUSES, Verdict, combine
from orchestrator.protocol.wire import (
    CLOCK_SKEW,
    BindingNumber,
    Hex32,
    Name,
    Sequence16,
    WireModel,
    distinct,
    read_model,
)

router = APIRouter()

VALID_SECONDS: Final = 120
"""How long a sheet can land. Until then, and for as long as clocks may differ, no other outcome of the same case and number
is signed."""

MOST_LEAVES: Final = 4096
"""Entries of one dossier."""

REVOCATION_TYP: Final = "lianban-revocation+jwt"


class LeafBody(WireModel):
    """A dossier's entry."""

    kind: Name
    salt: Hex32
    content: Hex32


class SheetCase(WireModel):
    """A transition as the orchestrator asks for it, with everything that it rests on."""

    case: Hex32
    sequence: Sequence16
    status: int = Field(ge=1, le=7)
    binding: BindingNumber
    leaves: list[LeafBody] = Field(min_length=1, max_length=MOST_LEAVES)
    root: Hex32
    verdicts: list[str]
    mandates: list[str]
    order: str | None
    """The revocation order of this seat's officer, for a revocation."""
    recalls: list[str] = Field(default_factory=list, max_length=MOST_RECALLS)
    """What the case is suspended for, or was: with a suspension, and with the approval that ends it."""
    upholdings: list[str] = Field(default_factory=list, max_length=MOST_RECALLS)
    """What the approvers' officers have said to it, with the approval that ends a suspension."""


class SheetsBody(WireModel):
    """Body of a request of kind `sheets`."""

    cases: list[SheetCase] = Field(min_length=1, max_length=MOST_CASES)

    @field_validator("cases")
    @classmethod
    def _each_once(cls, value: list[SheetCase]) -> list[SheetCase]:
        if not distinct(case.case for case in value):
            raise ValueError("a case comes twice")
        return value


@router.post("/{department}/sheets")
async def sheets(request: SignedBody, seat: CurrentSeat, chain: Chain, http: Request) -> dict[str, Any]:
    """One sheet over all transitions that hold: `{seat, valid_until, signature, signed: [case…], refused: […]}`.

    The signature is over the signed ones sorted by binding and case id, which is their order in the batch.
    """
    asker, _ = await read_signed(request, "sheets", seat, chain)
    body = read_model(SheetsBody, request.body, code="bad-request")
    reader: MandateReader = http.app.state.mandates
    read = await reader.read([jws for case in body.cases for jws in case.mandates], chain)
    now = int(time.time())
    mine = await _mine(body.cases, seat)
    before = await _outcomes(body.cases, seat)
    issued = await _issued(body.cases, seat)
    places = await _places(body.cases, chain)
    good: list[SheetCase] = []
    refused: list[dict[str, Any]] = []
    for case in body.cases:
        try:
            binding = await _binding(case, asker.number, seat, chain)
            signed = _mandates(case, read, chain)
            ended = _check_move(case, places) == Status.SUSPENDED
            verdicts = await _check_status(case, binding, signed[-1], mine, seat, chain, read, now, suspended=ended)
            mine_to_issue = binding.approvers[0] == seat.number
            credentials = issued.get(case.case, []) if mine_to_issue else None
            _check_dossier(case, signed, verdicts, before.get(case.case, []), credentials)
            _check_withdrawn(case, before.get(case.case, []))
            good.append(case)
        except LianbanError as error:
            items = getattr(error, "items", [])
            refused.append({"case": case.case, "code": error.code, "detail": error.detail, "items": items})
    good.sort(key=lambda case: (case.binding, case.case))
    valid_until = now + VALID_SECONDS
    kept, taken, barred = await _keep(good, _barred_by(good, places, read), seat, valid_until, now)
    refused += [
        {"case": case, "code": "other-outcome", "detail": "该办件此步已签批其他结果", "items": []} for case in taken
    ]
    refused += [{"case": case, "code": "withdrawn", "detail": _withdrawn().detail, "items": []} for case in barred]
    signature = ""
    if kept:
        transitions = [
            Transition(
                case_id=from_hex(case.case),
                root=from_hex(case.root),
                status=Status(case.status),
                sequence=case.sequence,
                binding=case.binding,
            )
            for case in kept
        ]
        digest = sheet_digest(chain.domain("CaseLedger"), seat.number, valid_until, transitions)
        signature = to_hex(seat.keys.chain.sign_hash(digest))
    return {
        "seat": seat.number,
        "valid_until": valid_until,
        "signature": signature,
        "signed": [case.case for case in kept],
        "refused": refused,
    }


class StaleEvidence(Refused):
    """An answer under the verdict is too old by now. `items` are to be asked again."""

    def __init__(self, items: list[str]) -> None:
        super().__init__("核验数据已过时效", detail_en="an answer is too old by now", code="stale-evidence")
        self.items = items


async def _mine(cases: Sequence[SheetCase], seat: Seat) -> dict[tuple[str, int], Row]:
    rows = await seat.store.rows("select * from verdict where case_id = any(%s)", [[case.case for case in cases]])
    return {(str(row["case_id"]), int(str(row["sequence"]))): row for row in rows}


async def _outcomes(cases: Sequence[SheetCase], seat: Seat) -> dict[str, list[Row]]:
    rows = await seat.store.rows(
        "select * from outcome where case_id = any(%s) order by sequence", [[case.case for case in cases]]
    )
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(str(row["case_id"]), []).append(row)
    return found


async def _binding(case: SheetCase, asker: int, seat: Seat, chain: ChainView) -> BindingView:
    binding = await chain.binding(case.binding)
    if asker != binding.operator or seat.number not in binding.approvers:
        raise Refused("双方与该落地不符", detail_en="the binding does not name both seats so", code="asker-not-named")
    return binding


def _mandates(case: SheetCase, read: MandatesRead, chain: ChainView) -> list[Mandate]:
    mandates = mandates_of(case.case, case.mandates, read, chain)
    if mandates[-1].binding != case.binding:
        raise Refused("授权书属于其他落地", detail_en="the mandates are for another binding", code="wrong-binding")
    return mandates


async def _places(cases: Sequence[SheetCase], chain: ChainView) -> dict[str, Status]:
    """Where the ledger has each case now."""
    found = await chain.statuses([case.case for case in cases])
    return {case.case: status for case, (status, _, _) in zip(cases, found, strict=True)}


def _check_move(case: SheetCase, places: Mapping[str, Status]) -> Status:
    """That the ledger would take the transition (I2): nothing is signed that it can only refuse. Where the case is now."""
    before = places[case.case]
    if not may_move(before, Status(case.status)):
        raise Refused(
            "办件现状态不能转为该状态", detail_en="the ledger lets no case go from there to here", code="no-such-move"
        )
    return before


async def _check_status(
    case: SheetCase,
    binding: BindingView,
    newest: Mandate,
    mine: dict[tuple[str, int], Row],
    seat: Seat,
    chain: ChainView,
    read: MandatesRead,
    now: int,
    *,
    suspended: bool,
) -> list[Verdict]:
    """That the status is what the verdicts, the applicant, an officer of this seat or a recall decided; the verdicts, if they
    did. `suspended`: the case is, so that an approval ends the suspension."""
    status, lead = Status(case.status), binding.approvers[0] == seat.number
    if status == Status.WITHDRAWN:
        if newest.kind != "withdrawal" or not lead:
            raise Refused("没有撤回授权", detail_en="nobody withdrew, or this seat does not lead", code="not-withdrawn")
        if not read.identities[binding.identity].active:
            raise Refused("身份认证席位已停用", detail_en="the identity seat is not active", code="identity-suspended")
        return []
    if status == Status.REVOKED:
        _check_order(case, seat, await chain.seat(seat.number), lead)
        return []
    if newest.kind == "withdrawal":
        raise _withdrawn()
    if status == Status.SUSPENDED or suspended:
        check = require_reinstatement if suspended else require_suspension
        await check(case, binding, await _scenario(binding, seat), seat, chain)
        return []
    if case.recalls or case.upholdings:
        raise Refused("该步不依据召回", detail_en="this step rests on no recall", code="not-suspended")
    verdicts = await verdicts_of(
        case.verdicts, case.case, case.sequence, binding, case.mandates, chain=chain, seat=seat
    )
    if STATUSES[combine([verdict.outcome for verdict, _ in verdicts.values()])] != status:
        raise Refused("状态与审批意见不符", detail_en="the status is not what the verdicts say", code="wrong-status")
    if status == Status.ACCEPTED and not lead:
        raise Refused("受理由牵头部门签批", detail_en="the lead accepts", code="not-lead")
    own = mine.get((case.case, case.sequence))
    if own is None or own["jws"] != verdicts[seat.number][1]:
        raise Refused("本部门意见已更新", detail_en="this seat's verdict is another by now", code="verdict-changed")
    stale = sorted({entry["item"] for entry in own["answers"] if entry["until"] < now})
    if stale and status != Status.ACCEPTED:
        raise StaleEvidence(stale)
    return [verdict for verdict, _ in verdicts.values()]


async def _scenario(binding: BindingView, seat: Seat) -> Scenario:
    scenario = (await seat.scenarios.of([binding.version], seat.store)).get(binding.version)
    if scenario is None:
        raise Refused("本席位没有该场景版本", detail_en="this seat lacks the version", code="unknown-version")
    return scenario


def _check_order(case: SheetCase, seat: Seat, own: SeatView, lead: bool) -> None:
    if case.order is None or not lead:
        raise Refused("没有撤销决定", detail_en="there is no order to revoke", code="no-order")
    order = verify_jws(case.order, typ=REVOCATION_TYP, jwk=own.key_of("evidence", case.order))
    if (order.get("case"), order.get("sequence")) != (case.case, case.sequence):
        raise Refused("撤销决定属于其他办件", detail_en="the order is about another case", code="no-order")


def _check_dossier(
    case: SheetCase,
    mandates: Sequence[Mandate],
    verdicts: Sequence[Verdict],
    before: Sequence[Row],
    issued: Sequence[str] | None,
) -> None:
    """That the root is the dossier's, and that the dossier holds all it must: what mandates and verdicts name, themselves,
    the credential of an approval (one of those `issued`; None: the lead's, not ours), and everything of the earlier one."""
    dossier = Dossier.parse(leaf.model_dump() for leaf in case.leaves)
    if to_hex(dossier.tree().root) != case.root:
        raise Refused("案卷根与内容不符", detail_en="the root is not the leaves'", code="wrong-root")
    if not dossier.holds(_needed(case, mandates, verdicts)):
        raise _incomplete("a mandate, situation, form, answer, material, verdict or order")
    credentials = dossier.contents("credential")
    wanted = len(credentials) == 1 and issued in (None, credentials)
    if case.status == Status.APPROVED and not wanted:
        raise _incomplete("the credential that was issued, and no other")
    recalls = {jws_hash(jws) for jws in case.recalls}
    # None that nobody has checked and that would stand in the way later, and none that an upholding leaves out.
    if case.status in (Status.SUSPENDED, Status.APPROVED) and set(dossier.contents("recall")) != recalls:
        raise _incomplete("the recalls that came along, and no other")
    for row in before:
        if row["sequence"] < case.sequence and not dossier.contains(Dossier.parse(row["leaves"])):
            raise Refused("案卷缺少先前内容", detail_en="the dossier lost what it held", code="dossier-shrunk")


def _needed(case: SheetCase, mandates: Sequence[Mandate], verdicts: Sequence[Verdict]) -> set[tuple[str, str]]:
    """(kind, hash) of what a dossier must hold, credential aside."""
    needed = {("mandate", jws_hash(jws)) for jws in case.mandates}
    needed |= {("situation", mandate.situation) for mandate in mandates}
    needed |= {("form", mandate.form) for mandate in mandates if mandate.form is not None}
    needed |= {("verdict", jws_hash(jws)) for jws in case.verdicts}
    needed |= {("recall", jws_hash(jws)) for jws in case.recalls}
    needed |= {("upholding", jws_hash(jws)) for jws in case.upholdings}
    for verdict in verdicts:
        needed |= {("answer", answer.hash) for answer in verdict.answers}
        needed |= {(f"material:{material.id}", material.hash) for material in verdict.materials}
        needed |= {("contest", each.contest) for each in verdict.contests}
        needed |= {("reply", each.reply) for each in verdict.contests if each.reply is not None}
    if case.status == Status.REVOKED and case.order is not None:
        needed.add(("revocation", jws_hash(case.order)))
    return needed


async def _issued(cases: Sequence[SheetCase], seat: Seat) -> dict[str, list[str]]:
    """The hashes of the credentials that this seat issued, by case."""
    rows = await seat.store.rows(
        "select case_id, jwt from credential where case_id = any(%s)", [[case.case for case in cases]]
    )
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(str(row["case_id"]), []).append(to_hex(hash_of(str(row["jwt"]).encode())))
    return found


def _incomplete(lacking: str) -> Refused:
    return Refused("案卷不完整", detail_en=f"the dossier lacks {lacking}", code="dossier-incomplete")


def _check_withdrawn(case: SheetCase, before: Sequence[Row]) -> None:
    """A withdrawal that this seat has signed cannot be left out again, whether it landed or not."""
    signed = {row["status"] for row in before}
    if Status.WITHDRAWN in signed and case.status not in (Status.WITHDRAWN, Status.REVOKED):
        raise _withdrawn()


def _withdrawn() -> Refused:
    return Refused("办件已撤回", detail_en="the applicant has withdrawn", code="withdrawn")


def _barred_by(
    cases: Sequence[SheetCase], places: Mapping[str, Status], read: MandatesRead
) -> dict[str, tuple[bytes, int]]:
    """By case, the id and identity seat of the withdrawal that would bar its outcome. What is decided already is not undone by
    one; nor is a withdrawal barred by itself."""
    decided = (Status.APPROVED, Status.SUSPENDED)
    return {
        case.case: (from_hex(case.case), read.bindings[case.binding].identity)
        for case in cases
        if places[case.case] not in decided and case.status not in (Status.WITHDRAWN, Status.REVOKED)
    }


async def _keep(
    cases: Sequence[SheetCase], barred_by: Mapping[str, tuple[bytes, int]], seat: Seat, valid_until: int, now: int
) -> tuple[list[SheetCase], list[str], list[str]]:
    """Writes the one outcome of each case and number before anything is signed; those written, the cases that have
    another one which can still land, and those that the identity seat has told this seat are withdrawn."""
    if not cases:
        return [], [], []
    async with seat.store.between_withdrawals() as cursor:
        await cursor.execute(WITHDRAWALS, [[case for case, _ in barred_by.values()]])
        ended = {(row["case_id"], row["issuer"]) for row in await cursor.fetchall()}
        barred = [case.case for case in cases if barred_by.get(case.case) in ended]
        cases = [case for case in cases if case.case not in barred]
        kept = await _write(cursor, cases, valid_until, now) if cases else set()
    kept_cases = [case for case in cases if case.case in kept]
    return kept_cases, [case.case for case in cases if case.case not in kept], barred


async def _write(cursor: psycopg.AsyncCursor[Row], cases: Sequence[SheetCase], valid_until: int, now: int) -> set[str]:
    """Writes outcomes; the cases that were written."""
    rows = [
        {
            "case_id": case.case,
            "sequence": case.sequence,
            "status": case.status,
            "root": case.root,
            "valid_until": valid_until,
            "leaves": [leaf.model_dump() for leaf in case.leaves],
        }
        for case in cases
    ]
    await cursor.execute(
        """
        insert into outcome (case_id, sequence, status, root, valid_until, leaves)
        select o.case_id, o.sequence, o.status, o.root, o.valid_until, o.leaves
        from jsonb_to_recordset(%s) as o(case_id text, sequence int, status smallint, root text, valid_until bigint,
                                         leaves jsonb)
        on conflict (case_id, sequence) do update
        set status = excluded.status, root = excluded.root, valid_until = excluded.valid_until, leaves = excluded.leaves,
            signed_at = now()
        where outcome.valid_until < %s or (outcome.status = excluded.status and outcome.root = excluded.root)
        returning case_id
        """,
        [Jsonb(rows), now - CLOCK_SKEW],
    )
    return {str(row["case_id"]) for row in await cursor.fetchall()}
