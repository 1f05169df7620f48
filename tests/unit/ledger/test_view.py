"""What the view says of seats, bindings, versions and cases, against the contracts themselves."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from orchestrator.domain.canonical import from_hex, keccak, to_hex
from orchestrator.domain.case import Status
from orchestrator.domain.errors import Invalid, Refused, Unavailable
from orchestrator.ledger.poster import Poster
from orchestrator.ledger.rpc import Rpc
from orchestrator.ledger.sender import Sender
from orchestrator.ledger.view import LedgerView
from orchestrator.protocol.keyset import Keyset, SeatKeys, SigningAccount, generate_seat_keys
from orchestrator.protocol.ports import PastKeyset
from orchestrator.protocol.sheet import (
    admission_digest,
    recovery_digest,
    retirement_digest,
    rotation_digest,
    succession_digest,
    veto_digest,
)
from tests.support.onchain import VETO_BLOCKS, OnChain, ask, on_chain, sheet, transition

pytestmark = pytest.mark.anyio

MARKET, CULTURE, NATURAL = 1, 3, 5


async def rotate(
    chain: OnChain, number: int, document: bytes, keys: SeatKeys, *, change: int, old: SigningAccount | None = None
) -> int:
    """Gives a seat new keys and a new document, signed by the old and the new signer; the block since when."""

    block = await announce(chain, number, document, keys, change=change, old=old)
    mine_to(chain, block)
    return block


async def announce(
    chain: OnChain,
    number: int,
    document: bytes,
    keys: SeatKeys,
    *,
    change: int,
    old: SigningAccount | None = None,
    blocks: int = 3,
) -> int:
    """Announces new keys of a seat, in force so many blocks after the transaction's; returns that block."""
    # The node may make a block before the transaction comes.
    block = int(ask(chain.node_url, "eth_blockNumber"), 16) + 1 + blocks
    digest = rotation_digest(
        chain.view.domain("Consortium"), number, keys.chain.address, keccak(document), block, change
    )
    before = old or chain.consortium.keys[number].chain
    await chain.sender.send(
        "Consortium",
        "rotate",
        number,
        keys.chain.address,
        document,
        block,
        before.sign_hash(digest),
        keys.chain.sign_hash(digest),
    )
    return block


def height(chain: OnChain) -> int:
    """Number of the newest block."""
    return int(ask(chain.node_url, "eth_blockNumber"), 16)


def mine_to(chain: OnChain, block: int) -> None:
    """Makes the blocks up to this one."""
    if (missing := block - height(chain)) > 0:
        ask(chain.node_url, "anvil_mine", hex(missing))


def time_of(chain: OnChain, block: int) -> int:
    """When a block was made."""
    return int(ask(chain.node_url, "eth_getBlockByNumber", hex(block), False)["timestamp"], 16)


async def replace_keys(chain: OnChain, how: str, number: int, keyset: Keyset, keys: SeatKeys, change: int) -> int:
    """Lets the council announce a `recover` or `succeed`; returns the block."""
    digest = {"recover": recovery_digest, "succeed": succession_digest}[how](
        chain.view.domain("Consortium"), number, keys.chain.address, keyset.hash, change
    )
    signature = keys.chain.sign_hash(digest)
    await chain.council_sender.send("Consortium", how, number, keys.chain.address, keyset.document(), signature)
    return height(chain) + VETO_BLOCKS


def renewed(keyset: Keyset, keys: SeatKeys) -> Keyset:
    """The keyset with other keys."""
    return replace(keyset, keys=tuple(keys.public_jwks()))


async def test_seats__admitted__as_they_were_admitted(chain: OnChain) -> None:
    seats = await chain.view.seats()
    assert [seat.number for seat in seats] == sorted(chain.consortium.binding.named)
    for seat in seats:
        assert seat.keyset.document() == chain.consortium.seat(seat.number).keyset.document()
        assert (seat.signer, seat.active) == (chain.consortium.keys[seat.number].chain.address, True)
    culture = await chain.view.seat_by_id("haidian-culture-tourism")
    assert culture == await chain.view.seat(CULTURE)


async def test_seats__unknown__invalid(chain: OnChain) -> None:
    for look in (chain.view.seat(200), chain.view.seat_by_id("nobody"), chain.view.binding(99)):
        with pytest.raises(Invalid):
            await look


async def test_seat__suspended_and_reinstated__seen_at_once(chain: OnChain) -> None:
    await chain.council_sender.send("Consortium", "suspend", MARKET)
    assert not (await chain.view.seat(MARKET)).active
    await chain.council_sender.send("Consortium", "reinstate", MARKET)
    assert (await chain.view.seat(MARKET)).active


async def test_seat__rotated__new_keys_and_signer(chain: OnChain) -> None:
    keys, before = generate_seat_keys(), chain.consortium.seat(NATURAL).keyset
    signer = chain.consortium.keys[NATURAL].chain.address
    keyset = renewed(chain.consortium.seat(NATURAL).keyset, keys)
    since = await announce(chain, NATURAL, keyset.document(), keys, change=1, blocks=9)
    seat = await chain.view.seat(NATURAL)
    assert (seat.keyset, seat.signer, seat.past) == (before, chain.consortium.keys[NATURAL].chain.address, ())
    mine_to(chain, since + 2)
    chain.consortium.keys[NATURAL] = keys
    seat = await chain.view.seat(NATURAL)
    assert (seat.keyset, seat.signer, seat.active) == (keyset, keys.chain.address, True)
    # What it held before, until the announced block; whoever reads everything anew sees the same.
    assert seat.past == (PastKeyset(keyset=before, until=time_of(chain, since), signer=signer),)
    async with Rpc(chain.node_url) as rpc:
        assert await LedgerView(rpc, chain.deployment).seat(NATURAL) == seat


async def test_seat__publishes_what_is_no_keyset_of_its_own__only_it_stops(node_url: str) -> None:
    async with on_chain(node_url, "open-gallery") as chain:
        other, keys, change = chain.consortium.seat(CULTURE).keyset, chain.consortium.keys[MARKET], 1
        mine, since = chain.consortium.seat(MARKET).keyset, 0
        for document in (
            b"no keyset",
            b"[]",
            mine.document() + b" ",
            other.document(),  # another seat's
            replace(mine, id=other.id).document(),  # another department's name
        ):
            block = await rotate(chain, MARKET, document, keys, change=change)
            since = since or time_of(chain, block)
            change += 1
            seat = await chain.view.seat(MARKET)
            assert (seat.active, seat.keyset) == (False, mine)
            assert (await chain.view.seat(CULTURE)).active
            assert (await chain.view.seat_by_id(other.id)).number == CULTURE
        # Neither suspending nor reinstating makes a keyset of it; rotating again does.
        await chain.council_sender.send("Consortium", "suspend", MARKET)
        await chain.council_sender.send("Consortium", "reinstate", MARKET)
        assert not (await chain.view.seat(MARKET)).active
        await rotate(chain, MARKET, mine.document(), keys, change=change)
        assert (await chain.view.seat(MARKET)).active
        # Its keys ended with the first document that was none.
        assert (await chain.view.seat(MARKET)).past == (
            PastKeyset(keyset=mine, until=since, signer=keys.chain.address),
        )


@pytest.mark.parametrize("who", ["seat", "council"])
async def test_seat__announced_keys_are_stopped_in_time__never_in_force(node_url: str, who: str) -> None:
    async with on_chain(node_url, "open-gallery") as chain:
        before, keys = await chain.view.seat(MARKET), generate_seat_keys()
        block = await replace_keys(chain, "recover", MARKET, renewed(before.keyset, keys), keys, 1)
        assert await chain.view.seat(MARKET) == before
        if who == "seat":
            digest = veto_digest(chain.view.domain("Consortium"), MARKET, 1)
            veto = chain.consortium.keys[MARKET].chain.sign_hash(digest)
            await chain.sender.send("Consortium", "veto", MARKET, 1, veto)
        else:
            await chain.council_sender.send("Consortium", "cancel", MARKET, 1)
        mine_to(chain, block + 1)
        assert await chain.view.seat(MARKET) == before


async def test_refresh__keys_announced__told_once_and_only_while_still_to_come(node_url: str) -> None:
    async with on_chain(node_url, "open-gallery") as chain:
        keys, before = generate_seat_keys(), (await chain.view.seat(MARKET)).keyset
        with capture_logs() as told:
            block = await replace_keys(chain, "recover", MARKET, renewed(before, keys), keys, 1)
            await chain.view.refresh()
            await chain.view.refresh()
            mine_to(chain, block)
            await chain.view.refresh()
            async with Rpc(chain.node_url) as rpc:
                await LedgerView(rpc, chain.deployment).refresh()
        warned = [each for each in told if each["event"] == "keys-announced"]
        assert [(each["seat"], each["change"], each["block"]) for each in warned] == [(MARKET, 1, block)]


async def test_seat__recovered_while_suspended__new_keys_and_still_silent(node_url: str) -> None:
    async with on_chain(node_url, "open-gallery") as chain:
        before, keys = await chain.view.seat(MARKET), generate_seat_keys()
        await chain.council_sender.send("Consortium", "suspend", MARKET)
        keyset = renewed(before.keyset, keys)
        mine_to(chain, await replace_keys(chain, "recover", MARKET, keyset, keys, 1))
        seat = await chain.view.seat(MARKET)
        assert (seat.keyset, seat.signer, seat.active) == (keyset, keys.chain.address, False)
        await chain.council_sender.send("Consortium", "reinstate", MARKET)
        assert (await chain.view.seat(MARKET)).active


async def test_seat__succeeded__another_department_by_its_own_name(node_url: str) -> None:
    async with on_chain(node_url, "open-gallery") as chain:
        before, keys = await chain.view.seat(MARKET), generate_seat_keys()
        keyset = replace(renewed(before.keyset, keys), id="haidian-merged")
        mine_to(chain, await replace_keys(chain, "succeed", MARKET, keyset, keys, 1))
        seat = await chain.view.seat_by_id("haidian-merged")
        assert (seat.number, seat.keyset, seat.active) == (MARKET, keyset, True)
        assert [past.keyset for past in seat.past] == [before.keyset]


@pytest.mark.parametrize("how", ["recover", "succeed"])
async def test_seat__new_keys_under_a_name_that_it_may_not_take__only_it_stops(node_url: str, how: str) -> None:
    async with on_chain(node_url, "open-gallery") as chain:
        before, keys = await chain.view.seat(MARKET), generate_seat_keys()
        # Only a successor brings another name, and not that of another seat.
        name = "haidian-merged" if how == "recover" else chain.consortium.seat(CULTURE).keyset.id
        keyset = replace(renewed(before.keyset, keys), id=name)
        mine_to(chain, await replace_keys(chain, how, MARKET, keyset, keys, 1))
        seat = await chain.view.seat(MARKET)
        assert (seat.keyset, seat.active) == (before.keyset, False)
        assert (await chain.view.seat(CULTURE)).active


async def test_seat__admitted_without_a_keyset__unknown_and_harmless(chain: OnChain) -> None:

    keys = generate_seat_keys()
    digest = admission_digest(chain.view.domain("Consortium"), 90, keys.chain.address, keccak(b"nonsense"))
    await chain.council_sender.send(
        "Consortium", "admit", 90, keys.chain.address, b"nonsense", keys.chain.sign_hash(digest)
    )
    await chain.council_sender.send("Consortium", "suspend", 90)
    await chain.council_sender.send("Consortium", "reinstate", 90)
    with pytest.raises(Invalid):
        await chain.view.seat(90)
    assert await chain.view.seats()


async def test_seat__removed__inactive(node_url: str) -> None:
    async with on_chain(node_url, "open-gallery") as chain:
        await chain.council_sender.send("Consortium", "remove", MARKET)
        assert not (await chain.view.seat(MARKET)).active


async def test_binding__made__as_it_was_signed(chain: OnChain) -> None:
    there = chain.consortium.binding
    assert there.version == chain.consortium.scenario.version
    assert (there.region, there.live) == ("110108", True)
    assert len(there.approvers) == len(chain.consortium.scenario.approvers)
    assert len(there.providers) == len(chain.consortium.scenario.providers)
    assert there in await chain.view.bindings()


async def test_binding__retired__not_live_any_more(chain: OnChain) -> None:
    number = await chain.rebind()
    signature = chain.consortium.keys[CULTURE].chain.sign_hash(
        retirement_digest(chain.view.domain("Catalog"), number, CULTURE)
    )
    assert (await chain.view.binding(number)).live
    await chain.sender.send("Catalog", "retire", number, CULTURE, signature)
    assert not (await chain.view.binding(number)).live
    # Whoever reads everything anew sees the same.
    async with Rpc(chain.node_url) as rpc:
        assert not (await LedgerView(rpc, chain.deployment).binding(number)).live


async def test_version__published_or_not(chain: OnChain) -> None:
    scenario = chain.consortium.scenario
    assert await chain.view.version(scenario.version) == (scenario.id, scenario.texts_hash, CULTURE)
    assert (await chain.view.version("0x" + "12" * 32))[0] == ""
    assert await chain.view.texts_revision(scenario.version) == 0


async def test_statuses__many_in_one_request__as_settled(chain: OnChain) -> None:
    batch = [transition(chain), transition(chain, status=Status.ACCEPTED)]
    poster = Poster(chain.rpc, chain.view, SigningAccount.generate().secret)
    signed = await poster.sign(0, batch, [sheet(chain, batch)], [])
    await poster.send([signed.raw])
    while await poster.outcomes([signed.hash]) == ["unknown"]:
        await asyncio.sleep(0.02)
    ids = [to_hex(each.case_id) for each in batch] + [to_hex(secrets.token_bytes(32))]
    number = chain.consortium.binding.number
    assert await chain.view.statuses(ids) == [
        (Status.APPROVED, 1, number),
        (Status.ACCEPTED, 1, number),
        (Status.NONE, 0, 0),
    ]
    assert await chain.view.status_of(ids[1]) == (Status.ACCEPTED, 1, number)
    # The contract's own view says the same.
    data = ask(
        chain.node_url,
        "eth_call",
        {"to": chain.deployment.ledger, "data": chain.view._abi["CaseLedger"].call("statusOf", from_hex(ids[0]))},
        "latest",
    )
    assert int(data, 16) == Status.APPROVED


async def test_view__chain_reorganised__reads_everything_again(node_url: str) -> None:
    async with on_chain(node_url, "open-gallery") as chain:
        snapshot = ask(node_url, "evm_snapshot")
        await chain.council_sender.send("Consortium", "suspend", MARKET)
        ask(node_url, "anvil_mine", "0x3")
        assert not (await chain.view.seat(MARKET)).active
        assert ask(node_url, "evm_revert", snapshot)
        assert (await chain.view.seat(MARKET)).active
        ask(node_url, "anvil_mine", "0x5")  # another chain, longer than the one that was read
        assert (await chain.view.seat(MARKET)).active
        assert len(await chain.view.seats()) == len(chain.consortium.binding.named)


async def test_view__not_older_than_its_age__asks_nobody(chain: OnChain) -> None:
    async with Rpc(chain.node_url) as rpc:
        view = LedgerView(rpc, chain.deployment, max_age=60)
        await view.seats()
        await rpc.close()
        assert (await view.seat(CULTURE)).number == CULTURE
        with pytest.raises((Unavailable, RuntimeError)):
            await view.refresh()


async def test_view__node_down__unavailable(chain: OnChain) -> None:
    async with Rpc("http://127.0.0.1:9") as rpc:
        with pytest.raises(Unavailable):
            await LedgerView(rpc, chain.deployment).seat(CULTURE)


async def test_domain__each_contract__its_own(chain: OnChain) -> None:
    domains = [chain.view.domain(name) for name in ("Consortium", "Catalog", "CaseLedger")]
    assert len({domain.contract for domain in domains}) == 3
    assert {domain.chain_id for domain in domains} == {chain.view.chain_id}
    assert chain.view.chain_id == int(ask(chain.node_url, "eth_chainId"), 16)


async def test_sender__contract_says_no__refused_with_its_error(chain: OnChain) -> None:

    with pytest.raises(Refused) as error:
        await chain.sender.send("Consortium", "suspend", MARKET)  # the council's alone
    assert error.value.code == "OwnableUnauthorizedAccount"
    stranger = Sender(chain.rpc, chain.view, SigningAccount.generate())
    with pytest.raises(Refused) as error:
        await stranger.send("Catalog", "retire", 1, CULTURE, bytes(65))
    assert error.value.code.startswith("Catalog_")
