"""A thief inside the orchestrator: its keys, its database, its place on every wire, and a chain account of their own.

Everything goes over real HTTP to the real gateways, signed with the operator's own keys, and in real transactions.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg

from orchestrator.database import with_database
from orchestrator.demo.applicant import ApplicantClient
from orchestrator.domain.canonical import b64, canonical, from_hex, to_hex
from orchestrator.domain.case import Status
from orchestrator.domain.dossier import Dossier
from orchestrator.domain.errors import Invalid, Refused
from orchestrator.identity.client import Applicant
from orchestrator.ledger.abi import ContractAbi
from orchestrator.ledger.artifacts import load_artifact
from orchestrator.ledger.follower import CASE_REFUSALS
from orchestrator.ledger.poster import Poster, SheetPart
from orchestrator.ledger.rpc import Rpc
from orchestrator.pipeline.decide import case_files
from orchestrator.pipeline.seal import Sealing
from orchestrator.protocol.answer import Answer, read_answer
from orchestrator.protocol.jose import jws_hash, peek_jws
from orchestrator.protocol.keyfolder import load_seat_keys
from orchestrator.protocol.keyset import SeatKeys
from orchestrator.protocol.mandate import case_id
from orchestrator.protocol.ports import SeatView
from orchestrator.protocol.question import Question
from orchestrator.protocol.sheet import Transition
from orchestrator.protocol.verdict import Verdict, read_verdict
from orchestrator.scenarios import read_data
from orchestrator.seeding.databases import database_of
from orchestrator.store import batches, cases, evidence
from tests.support.world import LONGEST, World

SHEET_REFUSALS = ("none", "expired", "beyond-batch", "seat-not-active", "wrong-signature")
"""`SheetRefusal` of the contracts, by number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thief:
    """What somebody with everything of the orchestrator can try."""

    world: World
    keys: SeatKeys
    """Every key of the operator's seat."""
    rpc: Rpc
    poster: Poster
    """Anybody may send a batch: the thief uses an account of their own, beside the orchestrator's."""
    verdicts_seen: dict[str, list[str]] = field(default_factory=dict)
    """Every verdict (JWS) that an approver gave the thief, by case, oldest first."""

    async def seat(self, number: int) -> SeatView:
        """A seat as the chain has it."""
        return await self.world.runtime.context.view.seat(number)

    async def file(self, case: str) -> dict[str, Any]:
        """A case as the pipeline would carry it to an approver now."""
        context = self.world.runtime.context
        async with context.pool.connection() as connection:
            row = await cases.get(connection, case)
        assert row is not None
        return (await case_files(context, [row]))[case]

    async def ask(self, number: int, mandates: Sequence[str], item: str) -> Answer:
        """Asks a seat about the newest of the mandates; what it answers, as far as the orchestrator may read it."""
        seat = await self.seat(number)
        question = Question(mandate=jws_hash(mandates[-1]), item=item, index=0, purpose="decide")
        answers = await self.world.runtime.context.gateways.ask(seat, [question], mandates)
        return read_answer(answers.answers[0], seat.keyset.key("evidence"))

    async def ask_all(self, mandates: Sequence[str]) -> None:
        """Asks every department what the newest of the mandates lets it be asked to decide."""
        payload = peek_jws(mandates[-1])[1]
        scenario = await self.world.runtime.context.definitions.get(payload["version"])
        for grant in payload["evidence"]:
            if scenario.item(grant["item"]).purpose == "decide":
                await self.ask(grant["seat"], mandates, grant["item"])

    async def intercept(self, name: str) -> dict[str, Any]:
        """A demo applicant authorises, and the mandate ends up with the thief instead of becoming a case: its case file."""
        applicant = self.world.demo[name]
        async with Applicant(applicant.person, timeout=60) as browser:
            client = _Waylaid(self.world.http, self.world.cluster.portal, browser)
            await client.sign_in()
            client.waylaid = True
            await client.apply(applicant.walk, list(applicant.plan.materials_after))
        query = parse_qs(urlsplit(client.redirect).query)
        login: Any = (await self.world.rows("select * from login where state = %s", [query["state"][0]]))[0]
        application: Any = (await self.world.rows("select * from application where id = %s", [login["application"]]))[0]
        granted = await self.world.runtime.state.identity.exchange(
            query["code"][0], code_verifier=login["code_verifier"], nonce=login["nonce"]
        )
        assert granted.mandate is not None
        return {
            "case": case_id(granted.mandate),
            "sequence": 1,
            "mandates": [granted.mandate],
            "situation": {"values": application["situation"], "salt": application["situation_salt"]},
            "form": application["form"],
            "materials": application["materials"],
            "given_up": [],
        }

    async def verdict(self, number: int, file: Mapping[str, Any]) -> Verdict | str:
        """An approver's verdict on a case file, or the code with which it refuses to give one."""
        seat = await self.seat(number)
        answer = await self.world.runtime.context.gateways.verdicts(seat, [file])
        if answer["refused"]:
            return str(answer["refused"][0]["code"])
        jws = answer["verdicts"][0]["verdict"]
        self.verdicts_seen.setdefault(str(file["case"]), []).append(jws)
        return read_verdict(jws, seat.keyset.key("evidence"))

    async def sheet(self, number: int, body: Mapping[str, Any]) -> str:
        """Asks an approver to sign a transition: `signed`, or the code with which it refuses."""
        found = await self.world.runtime.context.gateways.sheets(await self.seat(number), [body])
        refused = [entry["code"] for each in found for entry in each["refused"]]
        return str(refused[0]) if refused else "signed"

    async def sealed(self, case: str) -> dict[str, Any]:
        """The newest transition of a case as the orchestrator showed it to the approvers for their sheets."""
        context = self.world.runtime.context
        async with context.pool.connection() as connection:
            row = await cases.get(connection, case)
            found = (await batches.transitions(connection, [case]))[case][-1]
            leaves = (await evidence.leaves(connection, [case]))[case]
            verdicts = (await evidence.verdicts(connection, [case]))[case]
            mandates = (await cases.mandates(connection, [case]))[case]
        assert row is not None
        sealing = Sealing(
            case=row,
            binding=await context.view.binding(row.binding),
            status=Status(int(str(found["status"]))),
            mandates=mandates,
            verdicts=[each for each in verdicts if each["sequence"] == found["sequence"]],
            dossier=Dossier.parse(leaves),
            root=str(found["root"]),
        )
        return sealing.body() | {"sequence": found["sequence"]}

    async def batch(self, case: str) -> tuple[list[Transition], list[SheetPart]]:
        """The transitions that were signed together with the newest one of a case, in batch order, and their sheets."""
        async with self.world.runtime.context.pool.connection() as connection:
            row: Any = (await batches.transitions(connection, [case]))[case][-1]
            sheets: dict[int, Any] = await batches.sheets(connection, row["sheets"])
        found = {(each[0], each[2]): _transition(*each) for sheet in sheets.values() for each in sheet["transitions"]}
        order = sorted(found, key=lambda key: (found[key].binding, key))
        parts = [
            SheetPart(
                seat=int(each["seat"]),
                valid_until=int(each["valid_until"]),
                covers=frozenset(order.index((signed[0], signed[2])) for signed in each["transitions"]),
                signature=from_hex(each["signature"], 65),
            )
            for each in sheets.values()
        ]
        return [found[key] for key in order], parts

    async def settle(self, transitions: Sequence[Transition], sheets: Sequence[SheetPart]) -> list[tuple[str, str]]:
        """Sends a batch and returns the ledger's events as (event, reason)."""
        signed = await self.poster.sign(await self.poster.nonce(), transitions, sheets, [])
        await self.poster.send([signed.raw])
        receipt = await self.receipt(signed.hash)
        assert int(receipt["status"], 16) == 1
        abi = ContractAbi(load_artifact("CaseLedger").abi)
        found = []
        for raw in receipt["logs"]:
            log = abi.log(raw)
            if log is not None:
                names = SHEET_REFUSALS if log.name == "SheetRefused" else CASE_REFUSALS
                found.append((log.name, names[log.args["reason"]] if "reason" in log.args else ""))
        return found

    async def receipt(self, transaction: str) -> dict[str, Any]:
        """The receipt of a transaction, once it is mined."""
        end = time.monotonic() + 20
        while time.monotonic() < end:
            found: dict[str, Any] | None = await self.rpc.call("eth_getTransactionReceipt", [transaction])
            if found is not None:
                return found
            await asyncio.sleep(0.1)
        raise AssertionError("the transaction was not mined")


class _Waylaid(ApplicantClient):
    """A client whose way back to the portal is taken by somebody else."""

    waylaid = False
    redirect = ""

    async def _return(self, redirect: str) -> dict[str, Any]:
        if not self.waylaid:
            return await super()._return(redirect)
        self.redirect = redirect
        return {"case": ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Victims:
    """Cases that have settled, by id."""

    approved: str
    leased: str
    """Another approved one."""
    accepted: str
    """Waits for an officer: the company is on the abnormal list."""
    returned: str
    """The handler's identity was not found."""


@asynccontextmanager
async def unmoved(world: World, *case_ids: str) -> AsyncIterator[None]:
    """Nothing that the block does may move these cases on chain."""
    before = [await world.on_chain(case) for case in case_ids]
    yield
    assert [await world.on_chain(case) for case in case_ids] == before


def refusal(action: Any) -> str:
    """The code with which something refuses to open."""
    try:
        action()
    except (Refused, Invalid) as error:
        return error.code
    return "opened"


class Swapping(ApplicantClient):
    """A client whose portal hands the identity seat something else than what the client sent: `other` replaces it."""

    def __init__(self, thief: Thief, person: Applicant, other: Mapping[str, Any]) -> None:
        super().__init__(thief.world.http, thief.world.cluster.portal, person)
        self._thief = thief
        self._other = other

    async def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        signed_in: bool = True,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        answer = await super().request(method, path, body, signed_in=signed_in, headers=headers)
        if path != "/api/v1/applications":
            return answer
        row: Any = (await self._thief.world.rows("select * from application where id = %s", [answer["application"]]))[0]
        asked = {
            "kind": "grant",
            "binding": row["binding"],
            "situation": {"values": row["situation"], "salt": row["situation_salt"]},
            "form": {"hash": row["form"]["hash"]},
            "delivery": row["delivery"],
            "holder": row["holder"],
            "case": None,
            "previous": None,
            **self._other,
        }
        pushed = await self._thief.world.runtime.state.identity.push(asked)
        return answer | {"authorize_url": pushed.authorize_url}


def edited(jws: str, **changes: Any) -> str:
    """A mandate with other content under the signature that it had."""
    head, _, signature = jws.split(".")
    return f"{head}.{b64(canonical(peek_jws(jws)[1] | changes))}.{signature}"


async def problem_of(world: World, case: str) -> dict[str, Any]:
    """The error with which the pipeline stands still on a case."""
    end = time.monotonic() + LONGEST
    while time.monotonic() < end:
        rows = await world.rows("select error from case_file where id = %s and error is not null", [case])
        if rows:
            return dict(rows[0]["error"])
        await asyncio.sleep(0.1)
    raise AssertionError("the pipeline found no fault")


def rooted(body: dict[str, Any]) -> dict[str, Any]:
    """A sheet's body with the root that its leaves have."""
    return body | {"root": to_hex(Dossier.parse(body["leaves"]).tree().root)}


@contextmanager
def abnormal(world: World, company: str) -> Iterator[None]:
    """A company of the cast is on the abnormal list, in market supervision's own records, for the block."""
    uscc = read_data("cast.yaml")["companies"][company]["uscc"]
    records = with_database(world.cluster.settings.require_database_url(), database_of("haidian-market-supervision"))
    with psycopg.connect(records, autocommit=True) as connection:
        connection.execute(
            "insert into scjg_jyycml (uniscid, specause, abntime, decorg) values (%s, '1', current_date, '海淀区市场监督管理局')",
            [uscc],
        )
        try:
            yield
        finally:
            connection.execute("delete from scjg_jyycml where uniscid = %s and remdate is null", [uscc])


def _transition(case: str, root: str, step: int) -> Transition:
    return Transition(
        case_id=from_hex(case),
        root=from_hex(root),
        status=Status(step >> 56),
        sequence=step >> 40 & 0xFFFF,
        binding=step & 0xFF_FFFF_FFFF,
    )


@asynccontextmanager
async def open_thief(world: World) -> AsyncIterator[Thief]:
    """A thief for the block."""
    settings = world.cluster.settings
    async with Rpc(settings.require_node_url(), timeout=settings.rpc_timeout) as rpc:
        yield Thief(
            world=world,
            keys=load_seat_keys(settings.keys_dir / settings.operator, settings.passphrase()),
            rpc=rpc,
            poster=Poster(rpc, world.runtime.context.view, secrets.token_bytes(32)),
        )
