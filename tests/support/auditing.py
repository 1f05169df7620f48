"""An auditor for tests: a department's gateway on a chain of its own, asked by the operator, anchored, followed."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import orjson

from orchestrator.audit.evidence import Evidence, check
from orchestrator.audit.follow import MAXIMAL_DELAY, Followed, Given, follow
from orchestrator.audit.memory import Memory
from orchestrator.audit.statements import Promise, Word
from orchestrator.domain.canonical import from_hex
from orchestrator.gateway.client import Answers, GatewayClient
from orchestrator.gateway.seat import Seat
from orchestrator.ledger.heads import LedgerHeads
from orchestrator.ledger.poster import HeadPart
from orchestrator.ledger.proofs import Proofs, head_call
from orchestrator.ledger.publiclog import PublicLog
from orchestrator.protocol.keyset import SeatKeys
from orchestrator.protocol.loghead import SignedHead
from orchestrator.protocol.querylog import EMPTY_ROOT, Head
from orchestrator.verify.report import Mark, Report
from tests.support.departments import SeededDepartments
from tests.support.gateway import MARKET, OPERATOR, Gateway, documents, open_gateway, terms
from tests.support.onchain import OnChain, mined

DEPARTMENT = "haidian-market-supervision"
ITEMS = ("E05.company", "E06.company")


@dataclass(slots=True, kw_only=True)
class Audited:
    """One department's gateway with the operator that asks it, and what its auditor remembers."""

    chain: OnChain
    gateway: Gateway
    operator: GatewayClient
    mandate: str
    memory: Memory | None = None
    transport: httpx.AsyncBaseTransport | None = None
    """The auditor's way to the gateway, when it is another than the operator's."""
    promises: list[Promise] = field(default_factory=list)
    """What every answer so far promised."""

    @property
    def seat(self) -> Seat:
        """The department's real seat."""
        return self.gateway.seats[DEPARTMENT]

    def take(self, keys: SeatKeys) -> None:
        """The gateway goes on with these keys."""
        changed = replace(self.seat, keys=keys)
        self.gateway.seats[DEPARTMENT] = self.gateway.app.state.seats[DEPARTMENT] = changed

    async def ask(self, times: int = 1) -> Answers:
        """Two questions, so many times, each time in a batch of their own."""
        for _ in range(times):
            view = await self.chain.view.seat(MARKET)
            questions = self.chain.consortium.questions(self.mandate, ITEMS)
            answers = await self.operator.ask(view, questions, [self.mandate])
            promised = [Promise.of(each, view) for each in answers.answers]
            self.promises += [each for each in promised if each is not None]
        return answers

    async def anchor(self, head: SignedHead | None = None, proof: Sequence[bytes] | None = None) -> None:
        """Brings a head to the ledger, by default the newest, with the gateway's own proof unless one is given."""
        view = await self.chain.view.seat(MARKET)
        new = head or await self.operator.head(view)
        old = await Proofs(self.chain.rpc, self.chain.view).anchored(MARKET) or Head(
            seat=MARKET, size=0, root=EMPTY_ROOT
        )
        if proof is None:
            proof = await self.operator.consistency(view, old.size, new.size) if 0 < old.size < new.size else ()
        part = HeadPart(
            seat=MARKET,
            old_size=old.size,
            old_root=old.root,
            new_size=new.size,
            new_root=from_hex(new.root),
            proof=tuple(proof),
            signature=from_hex(new.signature, 65),
        )
        await self.chain.sender.send("CaseLedger", "settle", *head_call(part))

    async def word(self) -> Word:
        """The seat as the chain has it now."""
        view = self.chain.view
        await mined(self.chain.rpc)
        chain = await LedgerHeads(self.chain.rpc, view).read(MARKET)
        return Word(seat=await view.seat(MARKET), ledger=view.domain("CaseLedger"), chain=chain)

    async def follow(
        self, *, promises: Sequence[Promise] = (), heads: Sequence[SignedHead] = (), later: int = 0, **more: Any
    ) -> Followed:
        """One audit, `later` seconds from now, which is remembered as the command does it."""
        transport = self.transport or httpx.ASGITransport(app=self.gateway.app)
        word = await self.word()
        async with PublicLog(word.seat.keyset.endpoint, transport=transport) as log:
            given = Given(
                word=word,
                log=log,
                now=int(time.time()) + later,
                within=more.get("within", MAXIMAL_DELAY),
                memory=self.memory,
                promises=promises,
                heads=heads,
            )
            done = await follow(given)
        self.memory = done.memory or self.memory
        return done

    async def checked(self, lie: Evidence, **more: Any) -> Report:
        """What a third party makes of the file that is kept of a lie."""
        word = await self.word()
        return check(orjson.loads(orjson.dumps(lie.document(word))), word, **more)

    async def in_order(self, **more: Any) -> Followed:
        """An audit that finds everything in order."""
        done = await self.follow(**more)
        assert (done.report.conclusion, done.lies) == (Mark.PROVEN, ()), list(done.report.lines())
        return done

    async def caught(self, **more: Any) -> list[Evidence]:
        """An audit that does not: every lie, each of which a third party finds proven."""
        done = await self.follow(**more)
        assert done.report.conclusion is Mark.WRONG, list(done.report.lines())
        for lie in done.lies:
            assert (await self.checked(lie)).conclusion is Mark.PROVEN, lie
        return list(done.lies)


@asynccontextmanager
async def audited(chain: OnChain, departments: SeededDepartments, admin_dsn: str) -> AsyncIterator[Audited]:
    """A department's gateway with a new log, ready to be asked."""
    consortium = chain.consortium
    async with (
        open_gateway(consortium, departments, admin_dsn, [DEPARTMENT]) as gateway,
        gateway.client(consortium, OPERATOR) as operator,
    ):
        await operator.sign_binding(consortium.seat(MARKET), *documents(consortium), terms(consortium))
        yield Audited(chain=chain, gateway=gateway, operator=operator, mandate=consortium.mandate())
