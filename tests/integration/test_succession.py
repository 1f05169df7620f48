"""Another department takes over a seat while cases are open under its binding: it ends them, under the same number.

The real chain, pipeline and gateway; the successor brings new keys, takes the old gateway's store and the old sealing key.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from orchestrator.council.acts import call_of
from orchestrator.council.agreements import agree
from orchestrator.domain.case import Status
from orchestrator.gateway.adapter import read_adapters
from orchestrator.gateway.client import GatewayClient
from orchestrator.gateway.records import Records
from orchestrator.gateway.seat import AdapterFiles, Seat
from orchestrator.gateway.server import create_app
from orchestrator.gateway.store import Store
from orchestrator.pipeline.decide import take_updates
from orchestrator.protocol.credential import Credential, open_credential, read_credential
from orchestrator.protocol.keyset import SeatKeys, generate_seat_keys
from orchestrator.protocol.sealing import SealingKey
from orchestrator.scenarios import department_files
from orchestrator.store import evidence
from tests.support.approver import Approvers, Book, open_approvers
from tests.support.onchain import VETO_BLOCKS, OnChain, ask, automining_node, on_chain
from tests.support.orchestrator import BookedGateways, Line, get, open_line
from tests.support.services import GALLERY

pytestmark = pytest.mark.anyio

CULTURE = 3
HEIR = "haidian-culture-and-sports"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The old department's gateway and pipeline, up to the succession."""

    chain: OnChain
    approvers: Approvers
    line: Line
    dsn: str
    """The old gateway's store."""


@pytest.fixture
async def before(pg_admin_dsn: str) -> AsyncIterator[Ended]:
    with automining_node() as url:
        async with (
            on_chain(url, GALLERY.scenario) as chain,
            open_approvers(GALLERY, pg_admin_dsn, chain.consortium) as approvers,
            open_line(chain, approvers, pg_admin_dsn) as line,
        ):
            await line.follow_all()
            name = approvers.seats[CULTURE].store.name
            yield Ended(chain=chain, approvers=approvers, line=line, dsn=pg_admin_dsn.rpartition("/")[0] + f"/{name}")


async def succeed(chain: OnChain, keys: SeatKeys) -> None:
    """The council gives the seat to the heir, and the time to veto passes."""
    present = (await chain.view.seat(CULTURE)).keyset
    keyset = replace(
        present,
        id=HEIR,
        name={"zh": "海淀区文化体育局", "en": "Culture and Sports"},
        uscc="11110108000000002X",
        hosted_by=HEIR,
        endpoint=f"http://gateway.test/{HEIR}",
        keys=tuple(keys.public_jwks()),
    )
    agreement = agree("succeed", chain.view.domain("Consortium"), keyset, keys.chain, 1)
    name, arguments = call_of(agreement.act())
    await chain.council_sender.send("Consortium", name, *arguments)
    ask(chain.node_url, "anvil_mine", hex(VETO_BLOCKS))
    assert (await chain.view.seat(CULTURE)).keyset == keyset


@asynccontextmanager
async def successor(ended: Ended, keys: SeatKeys, tmp_path: Path, dsn: str) -> AsyncIterator[Line]:
    """The pipeline goes on, with the heir's gateway over the store that it was given."""
    chain, old = ended.chain, ended.approvers
    view = await chain.view.seat(CULTURE)
    document = next(path for path in department_files() if path.stem == "haidian-culture-tourism")
    file = tmp_path / f"{HEIR}.yaml"
    file.write_text(document.read_text("utf-8").replace("haidian-culture-tourism", HEIR), "utf-8")
    adapter = read_adapters([file.read_text("utf-8")])[HEIR]
    seat = Seat(
        keyset=view.keyset,
        keys=keys,
        adapters=AdapterFiles(HEIR, file),
        records=Records(dsn, adapter),
        store=Store(dsn),
    )
    seat.scenarios.add(chain.consortium.scenario, chain.consortium.scenario.version)
    seats: Mapping[str, Any] = {
        name: each for name, each in chain.consortium.seats.items() if each.number != CULTURE
    } | {HEIR: view}
    consortium = replace(chain.consortium, keys={**chain.consortium.keys, CULTURE: keys}, seats=dict(seats))
    app = create_app([seat, *(each for number, each in old.seats.items() if number != CULTURE)], chain.view)
    book = Book(consortium, answers=old.book.answers)
    for each in app.state.seats.values():
        app.state.clients[each.id] = GatewayClient(
            each.number, each.keys.request, chain.view, transport=httpx.MockTransport(book)
        )
    await seat.open()
    approvers = replace(old, consortium=consortium, app=app, seats={**old.seats, CULTURE: seat}, book=book)
    try:
        async with BookedGateways(approvers) as gateways:
            gateways.logs = ended.line.gateways.logs
            context = replace(ended.line.context, gateways=gateways)
            yield replace(
                ended.line, approvers=replace(approvers, operator=gateways), gateways=gateways, context=context
            )
    finally:
        await seat.close()


async def test_succession__cases_open_under_the_binding__ended_by_the_successor(before: Ended, tmp_path: Path) -> None:
    line, old_keys = before.line, before.chain.consortium.keys[CULTURE]
    waiting, fresh = before.approvers.file(), before.approvers.file()
    before.approvers.answer(waiting, not_on_abnormal_list=False)
    await line.submit(waiting)
    row = await line.run(waiting.id)
    assert (row.status, row.stage) == (Status.ACCEPTED, "waiting")
    await line.submit(fresh)
    await line.step_until(fresh.id, "decide")

    made = generate_seat_keys()
    keys = SeatKeys(
        chain=made.chain,
        evidence=made.evidence,
        request=made.request,
        sealing=SealingKey(made.sealing.holder, past=(old_keys.sealing,)),
    )
    await succeed(before.chain, keys)
    async with successor(before, keys, tmp_path, before.dsn) as after:
        row = await after.run(fresh.id)
        assert (row.status, row.stage) == (Status.APPROVED, "done")
        officer = await after.approvers.officer(CULTURE)
        (item,) = [each for each in await officer.client.queue() if each["case"] == waiting.id]
        await officer.client.look(waiting.id)
        await officer.client.decide(item, "approve", "经核对,同意")
        assert await take_updates(after.context) == 1
        row = await after.run(waiting.id, until=["done"])
        assert (row.status, row.sequence) == (Status.APPROVED, 2)
        assert await after.on_ledger(waiting.id) == (Status.APPROVED, 2)
        async with after.pool.connection() as connection:
            kept = (await evidence.credentials(connection, [waiting.id]))[waiting.id]
        credential = Credential(jwt=str(kept["jwt"]), sealed=str(kept["sealed"]))
        disclosures = open_credential(credential, waiting.id, before.chain.consortium.delivery)
        issued = read_credential(
            credential.jwt, disclosures, (await before.chain.view.seat(CULTURE)).keyset.key("evidence")
        )
        assert issued.claims["entity_name"] == "海淀墨白画廊有限公司"
        # What is filed from now on is sealed to the successor's own key.
        later = after.approvers.file()
        await after.submit(later)
        assert (await after.run(later.id)).status == Status.APPROVED


async def test_succession__without_the_old_sealing_key__open_cases_cannot_be_opened(
    before: Ended, tmp_path: Path
) -> None:
    fresh = before.approvers.file()
    await before.line.submit(fresh)
    await before.line.step_until(fresh.id, "decide")
    keys = generate_seat_keys()
    await succeed(before.chain, keys)
    async with successor(before, keys, tmp_path, before.dsn) as after:
        code, _ = await after.approvers.refused(fresh, seat=CULTURE)
        assert code == "cannot-open"


async def test_succession__old_gateway_goes_on_signing__the_ledger_takes_none_of_it(before: Ended) -> None:
    line, fresh = before.line, before.approvers.file()
    await line.submit(fresh)
    await line.step_until(fresh.id, "post")
    await succeed(before.chain, generate_seat_keys())
    for _ in range(3):
        await line.hurry()
        await line.worker().step()
    await line.follow_all()
    assert await line.on_ledger(fresh.id) == (Status.NONE, 0)
    assert (await get(line.pool, fresh.id)).status == Status.NONE
