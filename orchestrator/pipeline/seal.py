"""Seal: the dossier is closed, the credential issued, and the seats sign the one outcome of each case on their sheets.

Cases that an approver will not sign (an answer got too old, a verdict changed) go back to be asked or decided again; the
others go on without them.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import structlog

from orchestrator.database import Row
from orchestrator.domain.canonical import to_hex
from orchestrator.domain.case import Status
from orchestrator.domain.credential_type import CredentialType, integrity
from orchestrator.domain.dossier import Dossier, leaf_payload, new_leaf
from orchestrator.domain.errors import LianbanError
from orchestrator.domain.suite import hash_of
from orchestrator.pipeline.context import Context
from orchestrator.pipeline.decide import case_files
from orchestrator.protocol.jose import jws_hash, peek_jws
from orchestrator.protocol.ports import BindingView
from orchestrator.store import batches, cases, evidence, standing
from orchestrator.store.cases import CaseRow, Move
from orchestrator.store.standing import Papers

NOT_SUSPENDED = frozenset({"not-under-review", "not-suspending", "revocation-ordered"})
"""Why a lead does not suspend: its officers were faster, or the approval does not rest on what was taken back."""
log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class Sealing:
    """One case while it is being sealed."""

    case: CaseRow
    binding: BindingView
    status: Status
    mandates: list[str]
    verdicts: list[Row]
    papers: Papers = field(default_factory=Papers)
    """With a suspension its recalls; with the approval that ends it, what the approvers said to them too."""
    dossier: Dossier = field(default_factory=Dossier)
    root: str = ""
    """The closed dossier's."""
    signers: tuple[int, ...] = ()
    sheets: list[int] = field(default_factory=list)
    """Numbers of the stored sheets that carry it."""
    problem: dict[str, Any] | None = None

    @property
    def sequence(self) -> int:
        """The transition's number."""
        return self.case.sequence + 1

    @property
    def reinstates(self) -> bool:
        """Whether this approval ends a suspension: it rests on the verdicts of the first one."""
        return self.status == Status.APPROVED and self.case.status == Status.SUSPENDED

    def rests_on(self) -> list[tuple[str, str]]:
        """(kind, hash) of what mandates and verdicts name, and of themselves."""
        contents: list[tuple[str, str]] = [(each.kind, each.hash) for each in self.papers.all]
        for jws in self.mandates:
            mandate = peek_jws(jws)[1]
            contents += [("mandate", jws_hash(jws)), ("situation", mandate["situation"])]
            if mandate["form"] is not None:
                contents.append(("form", mandate["form"]))
        for row in self.verdicts:
            verdict = peek_jws(str(row["jws"]))[1]
            contents.append(("verdict", str(row["hash"])))
            contents += [("answer", answer["hash"]) for answer in verdict["answers"]]
            contents += [(f"material:{each['id']}", each["hash"]) for each in verdict["materials"]]
            for each in verdict["contests"]:
                contents.append(("contest", each["contest"]))
                contents += [("reply", each["reply"])] if each["reply"] is not None else []
        return contents

    @property
    def step(self) -> int:
        """Status, sequence and binding as the ledger packs them."""
        return int(self.status) << 56 | self.sequence << 40 | self.binding.number

    def body(self) -> dict[str, Any]:
        """What an approver's gateway is shown before it signs."""
        return {
            "case": self.case.id,
            "sequence": self.sequence,
            "status": int(self.status),
            "binding": self.binding.number,
            "leaves": self.dossier.payload(),
            "root": self.root,
            "verdicts": [row["jws"] for row in self.verdicts],
            "mandates": self.mandates,
            "order": self.case.revocation,
            "recalls": [each.jws for each in self.papers.of("recall")],
            "upholdings": [each.jws for each in self.papers.of("upholding")],
        }


def signers_of(status: Status, binding: BindingView, verdicts: list[Row]) -> tuple[int, ...]:
    """Whose sheets a transition takes (I1): all approvers to approve; to return or refuse, one that said so; the lead
    otherwise.

    Never more than it takes: a sheet carries other cases too, so one signature too many could settle a case here that
    another seat has just sent back.
    """
    if status == Status.APPROVED:
        return binding.approvers
    if status in (Status.RETURNED, Status.REFUSED):
        wanted = "return" if status == Status.RETURNED else "refuse"
        said = {row["seat"] for row in verdicts if row["outcome"] == wanted}
        return tuple(seat for seat in binding.approvers if seat in said)[:1]
    return binding.approvers[:1]


async def seal(context: Context, claimed: list[CaseRow]) -> list[Move]:
    """Seals many cases: one request per approver for credentials, one for sheets."""
    sealings, moves = await _prepare(context, claimed)
    stale = await _recheck(context, sealings)
    moves += [Move(case_id=case_id, stage="gather", error={"code": "rechecking"}) for case_id in stale]
    sealings = [each for each in sealings if each.case.id not in stale]
    await _credentials(context, [each for each in sealings if each.status == Status.APPROVED and not each.reinstates])
    await _close_dossiers(context, [each for each in sealings if each.problem is None])
    await _sheets(context, [each for each in sealings if each.problem is None])
    return moves + await _finish(context, sealings)


async def _prepare(context: Context, claimed: list[CaseRow]) -> tuple[list[Sealing], list[Move]]:
    ids = [case.id for case in claimed]
    async with context.pool.connection() as connection:
        mandates = await cases.mandates(connection, ids)
        verdicts = await evidence.verdicts(connection, ids)
        papers = await standing.papers(connection, ids)
    sealings, moves = [], []
    for case in claimed:
        if case.target is None:
            moves.append(Move(case_id=case.id, stage="decide"))
            continue
        binding = await context.view.binding(case.binding)
        status = Status(case.target)
        mine = [row for row in verdicts[case.id] if row["sequence"] == case.sequence + 1]
        sealing = Sealing(
            case=case,
            binding=binding,
            status=status,
            mandates=mandates[case.id],
            verdicts=mine,
            signers=signers_of(status, binding, mine),
        )
        if status == Status.SUSPENDED:
            sealing.papers = Papers(tuple(papers[case.id].of("recall")))
        elif sealing.reinstates:
            sealing.papers = papers[case.id]
        sealings.append(sealing)
    return sealings, moves


async def _recheck(context: Context, sealings: list[Sealing]) -> set[str]:
    """Makes answers that are too old, or that want a recheck, due again; returns the cases that must gather once more."""
    async with context.pool.connection() as connection:
        rows = await evidence.questions(connection, [each.case.id for each in sealings if each.verdicts])
        by_case: dict[str, list[str]] = defaultdict(list)
        now = context.now()
        status = {each.case.id: each for each in sealings}
        for row in rows:
            sealing = status[row.case_id]
            if (
                row.answered_at is None
                or row.state != "answered"
                or sealing.status in (Status.WITHDRAWN, Status.REVOKED)
            ):
                continue
            item = (await context.definitions.get(sealing.case.version)).item(row.item)
            age = (now - row.answered_at).total_seconds()
            if age > item.max_age or (item.recheck and age > context.pace.fresh):
                by_case[row.case_id].append(row.item)
        for case_id, items in by_case.items():
            await evidence.ask_again(connection, [case_id], items=items)
    return set(by_case)


async def _credentials(context: Context, sealings: list[Sealing]) -> None:
    by_lead: dict[int, list[Sealing]] = defaultdict(list)
    for sealing in sealings:
        by_lead[sealing.binding.approvers[0]].append(sealing)

    async def one(number: int, group: list[Sealing]) -> None:
        files = await case_files(context, [each.case for each in group])
        body = [files[each.case.id] | {"verdicts": [row["jws"] for row in each.verdicts]} for each in group]
        by_id = {each.case.id: each for each in group}
        try:
            answer = await context.gateways.credentials(await context.view.seat(number), body)
            documents = {str(text).encode() for text in answer["types"]}
            types = [(integrity(each), CredentialType(each).vct, each) for each in documents]
        except LianbanError as error:
            for each in group:
                each.problem = {"code": error.code, "seat": number}
            return
        for entry in answer["refused"]:
            by_id[entry["case"]].problem = {"code": entry["code"], "seat": number}
        rows = [{"case_id": e["case"], "jwt": e["credential"], "sealed": e["sealed"]} for e in answer["credentials"]]
        async with context.pool.connection() as connection:
            await evidence.add_credentials(connection, rows)
            await evidence.add_credential_types(connection, types)

    await asyncio.gather(*(one(number, group) for number, group in by_lead.items()))


async def _close_dossiers(context: Context, sealings: list[Sealing]) -> None:
    """Collects every leaf and keeps the salts of those that are there, so that the same dossier has the same root."""
    ids = [each.case.id for each in sealings]
    async with context.pool.connection() as connection:
        answers = await evidence.questions(connection, ids)
        pushed = await evidence.materials(connection, ids)
        credentials = await evidence.credentials(connection, ids)
        rows: list[dict[str, Any]] = []
        for each in sealings:
            contents = each.rests_on()
            contents += [
                ("answer", row.answer_hash) for row in answers if row.case_id == each.case.id and row.answer_hash
            ]
            contents += [(f"material:{row['id']}", str(row["hash"])) for row in pushed[each.case.id]]
            if each.status == Status.APPROVED:
                contents.append(("credential", to_hex(hash_of(str(credentials[each.case.id]["jwt"]).encode()))))
            if each.case.revocation and each.status == Status.REVOKED:
                contents.append(("revocation", jws_hash(each.case.revocation)))
            rows += [
                leaf_payload(new_leaf(kind, content)) | {"case_id": each.case.id, "sequence": each.sequence}
                for kind, content in dict.fromkeys(contents)
            ]
        await evidence.set_leaves(connection, rows)
        kept = await evidence.leaves(connection, ids)
    for each in sealings:
        each.dossier = Dossier.parse(kept[each.case.id])
        each.root = to_hex(each.dossier.tree().root)


async def _sheets(context: Context, sealings: list[Sealing]) -> None:
    by_seat: dict[int, list[Sealing]] = defaultdict(list)
    for sealing in sealings:
        for seat in sealing.signers:
            by_seat[seat].append(sealing)

    async def one(number: int, group: list[Sealing]) -> None:
        by_id = {each.case.id: each for each in group}
        try:
            answers = await context.gateways.sheets(await context.view.seat(number), [each.body() for each in group])
        except LianbanError as error:
            for each in group:
                each.problem = {"code": error.code, "seat": number}
            return
        for answer in answers:
            for entry in answer["refused"]:
                by_id[entry["case"]].problem = {
                    "code": entry["code"],
                    "seat": number,
                    "items": entry.get("items", []),
                }
            if answer["signed"]:
                async with context.pool.connection() as connection:
                    sheet = await batches.add_sheet(
                        connection,
                        seat=number,
                        valid_until=answer["valid_until"],
                        signature=answer["signature"],
                        transitions=[
                            [case_id, by_id[case_id].root, by_id[case_id].step] for case_id in answer["signed"]
                        ],
                    )
                for case_id in answer["signed"]:
                    by_id[case_id].sheets.append(sheet)

    await asyncio.gather(*(one(number, group) for number, group in by_seat.items()))


async def _finish(context: Context, sealings: list[Sealing]) -> list[Move]:
    moves, rows, events = [], [], []
    for each in sealings:
        if each.problem is not None:
            log.warning("case-not-sealed", case=each.case.id, code=each.problem["code"], seat=each.problem.get("seat"))
            moves.append(await _back(context, each))
            continue
        rows.append(
            {
                "case_id": each.case.id,
                "sequence": each.sequence,
                "status": int(each.status),
                "binding": each.binding.number,
                "root": each.root,
                "sheets": each.sheets,
            }
        )
        events.append((each.case.id, "sealed", {"status": int(each.status), "root": each.root}))
        moves.append(Move(case_id=each.case.id, stage="post"))
    async with context.pool.connection() as connection:
        await batches.add_transitions(connection, rows)
        await cases.note(connection, events)
    return moves


async def _back(context: Context, sealing: Sealing) -> Move:
    """Where a case goes that an approver would not sign."""
    problem = sealing.problem or {}
    delay = min(context.pace.retry_first * 2 ** min(sealing.case.attempts, 20), context.pace.retry_most)
    if problem["code"] == "stale-evidence":
        async with context.pool.connection() as connection:
            await evidence.ask_again(connection, [sealing.case.id], items=problem.get("items") or None)
        return Move(case_id=sealing.case.id, stage="gather", error=problem)
    if problem["code"] == "verdict-changed":
        return Move(case_id=sealing.case.id, stage="decide", error=problem)
    if problem["code"] in NOT_SUSPENDED and sealing.status == Status.SUSPENDED:
        async with context.pool.connection() as connection:
            await cases.note(connection, [(sealing.case.id, "not-suspended", {"code": problem["code"]})])
        return Move(case_id=sealing.case.id, stage="done")
    if problem["code"] == "under-review":
        # The next approver's word wakes it (`take_updates`).
        return Move(case_id=sealing.case.id, stage="waiting")
    return Move(case_id=sealing.case.id, stage="seal", delay=delay, error=problem)
