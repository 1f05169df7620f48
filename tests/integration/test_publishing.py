"""Binding and retiring on a real chain: every named seat signs, any of them ends it, and nobody else can stop either."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from orchestrator.domain.canonical import from_hex, to_hex
from orchestrator.domain.case import Status
from orchestrator.domain.errors import LianbanError, Refused
from orchestrator.gateway.client import GatewayClient
from orchestrator.gateway.desk import certify_officer
from orchestrator.gateway.officer import OfficerClient
from orchestrator.gateway.policy import Policy, PolicyFile
from orchestrator.gateway.seat import Seat
from orchestrator.gateway.server import create_app
from orchestrator.gateway.store import Store, prepare_stores, store_name
from orchestrator.ledger.deployments import write_deployment
from orchestrator.ledger.poster import Poster
from orchestrator.pipeline.publishing import Publisher, Terms
from orchestrator.protocol.jose import SigningKey
from orchestrator.protocol.keyfolder import save_seat_keys
from orchestrator.protocol.keyset import SigningAccount
from orchestrator.protocol.sheet import retirement_digest
from orchestrator.scenarios import read_data
from orchestrator.settings import load_settings
from tests.support.commands import lianban
from tests.support.departments import SeededDepartments
from tests.support.gateway import CULTURE, MARKET, OPERATOR, POLICE, SEATED, TAX, make_seats
from tests.support.onchain import OnChain, sheet, transition

pytestmark = pytest.mark.anyio

AUTO = PolicyFile(absent=Policy(sign="auto"))
HOUSING = "haidian-housing-construction"
NAMES = {OPERATOR: "haidian-government-services", POLICE: "beijing-public-security", CULTURE: "haidian-culture-tourism"}


@asynccontextmanager
async def publisher_of(chain: OnChain, seats: dict[str, Seat]) -> AsyncIterator[tuple[Publisher, httpx.AsyncClient]]:
    """The operator's publisher over the gateways of some seats, and a client for their desks."""
    app = create_app(list(seats.values()), chain.view)
    transport = httpx.ASGITransport(app=app)
    keys = chain.consortium.keys[OPERATOR]
    async with (
        app.router.lifespan_context(app),
        GatewayClient(OPERATOR, keys.request, chain.view, transport=transport, timeout=30) as gateways,
        httpx.AsyncClient(transport=transport) as http,
    ):
        # Binding and retiring touch neither the orchestrator's database nor the identity seat.
        nothing = cast(Any, None)
        yield (
            Publisher(
                pool=nothing, view=chain.view, gateways=gateways, sender=chain.sender, keys=keys, identity=nothing
            ),
            http,
        )


async def desk_of(seat: Seat, http: httpx.AsyncClient) -> OfficerClient:
    key = SigningKey.generate()
    certificate = await certify_officer(seat, key.jwk, "officer-1", may=("signatures",))
    return OfficerClient(http, endpoint=seat.keyset.endpoint, seat=seat.number, key=key, certificate=certificate)


async def live(chain: OnChain, number: int) -> bool:
    return (await chain.view.binding(number)).live


async def test_bind__two_departments_ask_their_officers__both_told_and_bound_once_both_approve(
    chain: OnChain, departments: SeededDepartments, pg_admin_dsn: str
) -> None:
    terms = Terms(**(read_data("bindings/haidian.yaml") | {"region": "110105"}))  # not yet bound there
    scenario = chain.consortium.scenario
    asking = ("haidian-culture-tourism", HOUSING)
    seats = make_seats(
        chain.consortium, departments, pg_admin_dsn, [each for each in SEATED if each not in asking], AUTO
    ) | make_seats(chain.consortium, departments, pg_admin_dsn, asking, PolicyFile())
    async with publisher_of(chain, seats) as (publisher, http):
        before = len(await chain.view.bindings())
        with pytest.raises(Refused) as error:
            await publisher.bind(scenario, terms)
        assert error.value.code == "awaiting-officer"
        assert "海淀区文化和旅游局" in error.value.detail
        assert "海淀区住房和城乡建设委员会" in error.value.detail
        desks = [await desk_of(seats[name], http) for name in asking]
        for desk, outcome in zip(desks, ("approve", "decline"), strict=True):
            (waits,) = await desk.proposals()
            await desk.decide_proposal(waits["hash"], cast(Any, outcome), "住所范围过大")
        with pytest.raises(Refused, match="住所范围过大") as error:
            await publisher.bind(scenario, terms)
        assert error.value.code == "declined"
        assert "海淀区文化和旅游局" not in error.value.detail
        assert len(await chain.view.bindings()) == before  # nothing goes live without every signature
        await desks[1].decide_proposal(waits["hash"], "approve", "已核实")
        number = await publisher.bind(scenario, terms)
        assert await live(chain, number)
        assert await publisher.bind(scenario, terms) == number


async def test_publisher_retire__gateway_asks_its_officer_or_own_seat__ended(
    chain: OnChain, departments: SeededDepartments, pg_admin_dsn: str
) -> None:
    seats = make_seats(chain.consortium, departments, pg_admin_dsn, [NAMES[CULTURE]], PolicyFile())
    async with publisher_of(chain, seats) as (publisher, http):
        number = await rebound(chain)
        with pytest.raises(Refused, match="海淀区文化和旅游局") as error:
            await publisher.retire(number, NAMES[CULTURE])
        assert (error.value.code, await live(chain, number)) == ("awaiting-officer", True)
        desk = await desk_of(seats[NAMES[CULTURE]], http)
        (waits,) = await desk.proposals()
        await desk.decide_proposal(waits["hash"], "approve", "不再参与")
        await publisher.retire(number, NAMES[CULTURE])
        assert not await live(chain, number)
        # The operator's own seat needs no gateway; one whose gateway is gone does not answer.
        number = await rebound(chain)
        with pytest.raises(LianbanError):
            await publisher.retire(number, NAMES[POLICE])
        await publisher.retire(number, NAMES[OPERATOR])
        assert not await live(chain, number)


async def rebound(chain: OnChain) -> int:
    """The gallery bound once more: a binding that expires in another second than every one before."""
    await asyncio.sleep(1.1)
    return await chain.rebind()


def installed(chain: OnChain, folder: Path, names: dict[int, str]) -> Path:
    """A department's own data folder: its keys, the passphrase, where the contracts are. No gateway, no operator."""
    settings = load_settings(use_services_file=False, data_dir=folder)
    passphrase = settings.passphrase()
    for number, name in names.items():
        save_seat_keys(chain.consortium.keys[number], settings.keys_dir / name, passphrase)
    write_deployment(settings.deployment_file, chain.deployment)
    return folder


async def settle(chain: OnChain, number: int, case: bytes, status: Status, sequence: int) -> tuple[Status, int, int]:
    """Tries to move a case under a binding with the lead's sheet; how it stands then."""
    batch = [transition(chain, case, binding=number, status=status, sequence=sequence)]
    poster = Poster(chain.rpc, chain.view, SigningAccount.generate().secret)
    signed = await poster.sign(0, batch, [sheet(chain, batch)], [])
    await poster.send([signed.raw])
    async with asyncio.timeout(30):
        while (outcome := (await poster.outcomes([signed.hash]))[0]) == "unknown":
            await asyncio.sleep(0.05)
    assert outcome == "done"
    return await chain.view.status_of(to_hex(case))


@pytest.mark.parametrize("role", ["identity", "operator", "approver", "provider"])
async def test_gateway_retire__any_named_seat_with_its_keys_alone__no_new_cases_running_ones_end(
    chain: OnChain, tmp_path: Path, role: str
) -> None:
    seat = {"identity": POLICE, "operator": OPERATOR, "approver": CULTURE, "provider": MARKET}[role]
    name = (await chain.view.seat(seat)).keyset.id
    folder = installed(chain, tmp_path, {seat: name})
    number = await rebound(chain)
    running = secrets.token_bytes(32)
    assert await settle(chain, number, running, Status.ACCEPTED, 1) == (Status.ACCEPTED, 1, number)
    said = await lianban(folder, "gateway", "retire", number, name, LIANBAN_NODE_URL=chain.node_url)
    assert said.code == 0, said.text
    assert "policy.yaml" in said.text  # no database here: the gateway's store is not told
    assert not await live(chain, number)
    # No new case, not even on the sheet of every approver; the running one ends under its own binding.
    assert await settle(chain, number, secrets.token_bytes(32), Status.APPROVED, 1) == (Status.NONE, 0, 0)
    assert await settle(chain, number, running, Status.APPROVED, 2) == (Status.APPROVED, 2, number)
    again = await lianban(folder, "gateway", "retire", number, name, LIANBAN_NODE_URL=chain.node_url)
    assert (again.code, "Catalog_AlreadyRetired" in again.text) == (1, True)


async def test_gateway_retire__not_named_or_no_key__refused(chain: OnChain, tmp_path: Path) -> None:
    names = {CULTURE: NAMES[CULTURE]}
    folder = installed(chain, tmp_path, names)
    number = chain.consortium.binding.number
    other = await lianban(
        folder, "gateway", "retire", number, "haidian-market-supervision", LIANBAN_NODE_URL=chain.node_url
    )
    assert other.code == 2, other.text  # it does not hold that department's keys
    unknown = await lianban(folder, "gateway", "retire", 999, NAMES[CULTURE], LIANBAN_NODE_URL=chain.node_url)
    assert (unknown.code, "没有这个落地" in unknown.text) == (2, True)
    assert await live(chain, number)
    # What the command checks, the contract does: a seat that the binding does not name ends nothing.
    digest = retirement_digest(chain.view.domain("Catalog"), number, TAX)
    signature = chain.consortium.keys[TAX].chain.sign_hash(digest)
    with pytest.raises(Refused, match="Catalog_SeatNotNamed"):
        await chain.sender.send("Catalog", "retire", number, TAX, signature)


async def test_gateway_retire__store_there__on_record_there(chain: OnChain, tmp_path: Path, pg_admin_dsn: str) -> None:
    name = NAMES[CULTURE]
    folder = installed(chain, tmp_path, {CULTURE: name})
    number = await rebound(chain)
    said = await lianban(
        folder, "gateway", "retire", number, name, LIANBAN_NODE_URL=chain.node_url, LIANBAN_DATABASE_URL=pg_admin_dsn
    )
    assert (said.code, "policy.yaml" in said.text) == (0, False), said.text
    store = Store(prepare_stores(pg_admin_dsn, [name])[name])
    assert store.name == store_name(name)
    await store.open()
    try:
        (row,) = await store.rows("select version, region from retirement where binding = %s", [number])
        digest = retirement_digest(chain.view.domain("Catalog"), number, CULTURE)
        (signing,) = await store.rows("select kind, asker from signing where digest = %s", [digest])
    finally:
        await store.close()
    assert row == {"version": from_hex(chain.consortium.scenario.version), "region": "110108"}
    assert signing == {"kind": "retirement", "asker": CULTURE}
