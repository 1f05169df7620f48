"""The follower: every event once, in order, and back to where both chains agree when a block is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.canonical import to_hex
from orchestrator.domain.case import Status
from orchestrator.domain.errors import Unavailable
from orchestrator.ledger.follower import BLOCKS_A_READ, CASE_REFUSALS, Follower, Reading, Settled
from orchestrator.ledger.poster import HeadPart, Poster, SheetPart
from orchestrator.ledger.rpc import Rpc
from orchestrator.protocol.keyset import SigningAccount
from orchestrator.protocol.sheet import Transition
from tests.support.onchain import OnChain, ask, head, sheet, transition

pytestmark = pytest.mark.anyio

MARKET = 1


class Reader:
    """A follower with what it remembers, as the store keeps it for the orchestrator."""

    def __init__(self, chain: OnChain) -> None:
        self.follower = Follower(chain.rpc, chain.view)
        self.known: list[dict[str, Any]] = []

    async def read(self) -> Reading | None:
        reading = await self.follower.read(self.known)
        if reading is not None:
            if reading.rewind_to is not None:
                self.known = [block for block in self.known if block["number"] <= reading.rewind_to]
            self.known = [*reversed(reading.blocks), *self.known][:64]
        return reading

    async def read_all(self) -> None:
        while await self.read() is not None:
            pass


@pytest.fixture
async def reader(chain: OnChain) -> Reader:
    reader = Reader(chain)
    await reader.read_all()
    return reader


class Account:
    """An account that posts."""

    def __init__(self, chain: OnChain) -> None:
        self.chain = chain
        self.poster = Poster(chain.rpc, chain.view, SigningAccount.generate().secret)

    async def settle(
        self, batch: Sequence[Transition], sheets: Sequence[SheetPart] | None = None, heads: Sequence[HeadPart] = ()
    ) -> str:
        """Posts a batch with the lead's sheet over it and waits until it is mined; the transaction's hash."""
        parts = [sheet(self.chain, batch)] if sheets is None else sheets
        signed = await self.poster.sign(await self.poster.nonce(), batch, parts, heads)
        await self.poster.send([signed.raw])
        while await self.poster.outcomes([signed.hash]) == ["unknown"]:
            await asyncio.sleep(0.02)
        return signed.hash


async def test_read__settled_refused_anchored__each_once_with_its_receipt(chain: OnChain, reader: Reader) -> None:
    good, unsigned = transition(chain), transition(chain)
    tx = await Account(chain).settle(
        [good, unsigned], [sheet(chain, [good, unsigned], covers=[0])], [head(chain, MARKET, 1, b"\x07" * 32)]
    )
    reading = await reader.read()
    assert reading is not None
    (settled,) = reading.settled
    assert (settled.case_id, settled.status, settled.sequence) == (to_hex(good.case_id), int(Status.APPROVED), 1)
    assert (settled.root, settled.transaction) == (to_hex(good.root), tx)
    (refused,) = reading.refused
    assert (refused.case_id, refused.sequence, refused.reason) == (to_hex(unsigned.case_id), 1, "not-signed")
    assert [(each.seat, each.size, each.root) for each in reading.anchored] == [(MARKET, 1, "0x" + "07" * 32)]
    receipt = ask(chain.node_url, "eth_getTransactionReceipt", tx)
    assert reading.receipts == (
        {"tx_hash": tx, "block": int(receipt["blockNumber"], 16), "gas_used": int(receipt["gasUsed"], 16)},
    )
    assert reading.rewind_to is None
    assert await reader.read() is None


async def test_read__several_batches__in_the_order_of_the_chain(chain: OnChain, reader: Reader) -> None:
    account, case = Account(chain), transition(chain, status=Status.ACCEPTED)
    await account.settle([case])
    await account.settle([transition(chain, case.case_id, sequence=2)])
    reading = await reader.read()
    assert reading is not None
    assert [(each.sequence, each.status) for each in reading.settled] == [(1, 1), (2, 3)]
    assert reading.settled[0].block < reading.settled[1].block


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"binding": 99}, "unknown-binding"),
        ({"sequence": 2}, "wrong-sequence"),
        ({"status": Status.REVOKED}, "forbidden-move"),
    ],
)
async def test_read__refusals__named_as_the_contracts_number_them(
    chain: OnChain, reader: Reader, changes: dict[str, Any], reason: str
) -> None:
    await Account(chain).settle([transition(chain, **changes)])
    reading = await reader.read()
    assert reading is not None
    assert [each.reason for each in reading.refused] == [reason]


def test_refusals__names__as_many_as_the_contracts_have() -> None:
    source = (Path(__file__).parents[3] / "contracts" / "types" / "Batches.sol").read_text()
    body = source.split("enum CaseRefusal {")[1].split("}")[0]
    names = [line.split("//")[0].strip(" ,") for line in body.splitlines() if line.split("//")[0].strip(" ,")]
    names = [name for name in names if not name.startswith(("/", "*"))]
    words = ["".join(f"-{c.lower()}" if c.isupper() else c for c in name).strip("-") for name in names]
    assert tuple(words) == CASE_REFUSALS


async def test_read__blocks_lost__back_to_the_last_shared_one(chain: OnChain, reader: Reader) -> None:
    account, first, second = Account(chain), transition(chain), transition(chain)
    await account.settle([first])
    await reader.read_all()
    shared = reader.known[0]["number"]
    snapshot = ask(chain.node_url, "evm_snapshot")
    await account.settle([second])
    reading = await reader.read()
    assert reading is not None
    assert reading.settled
    ask(chain.node_url, "evm_revert", snapshot)
    # The chain is shorter now than what was read.
    reading = await reader.read()
    assert reading is not None
    assert (reading.rewind_to, reading.settled) == (shared, ())
    # And then another one: the block that comes in its place is read like any other.
    await Account(chain).settle([second])
    reading = await reader.read()
    assert reading is not None
    assert (reading.rewind_to, [each.case_id for each in reading.settled]) == (None, [to_hex(second.case_id)])


async def test_read__other_blocks_in_their_place__rewound_and_read_in_one_go(chain: OnChain, reader: Reader) -> None:
    account, case = Account(chain), transition(chain)
    shared = reader.known[0]["number"]
    snapshot = ask(chain.node_url, "evm_snapshot")
    await account.settle([transition(chain)])
    await account.settle([transition(chain)])
    await reader.read_all()
    ask(chain.node_url, "evm_revert", snapshot)
    ask(chain.node_url, "anvil_mine", "0x4")
    await Account(chain).settle([case])
    reading = await reader.read()
    assert reading is not None
    assert reading.rewind_to == shared
    assert [each.case_id for each in reading.settled] == [to_hex(case.case_id)]
    assert reader.known[0]["number"] == reading.up_to


async def test_read__nothing_shared__from_the_deployment(chain: OnChain, reader: Reader) -> None:
    await Account(chain).settle([transition(chain)])
    await reader.read_all()
    everything = Reader(chain)
    settled: list[Settled] = []
    while (reading := await everything.read()) is not None:
        settled += reading.settled
    reader.known = [block | {"hash": "0x" + "00" * 32} for block in reader.known]
    reading = await reader.read()
    assert reading is not None
    assert reading.rewind_to == chain.deployment.block - 1
    assert len(reading.settled) == len(settled)


async def test_read__far_behind__in_portions_without_a_gap(chain: OnChain, reader: Reader) -> None:
    account, first, last = Account(chain), transition(chain), transition(chain)
    await account.settle([first])
    ask(chain.node_url, "anvil_mine", hex(BLOCKS_A_READ + 20))
    await account.settle([last])
    one = await reader.read()
    two = await reader.read()
    assert one is not None
    assert two is not None
    assert [each.case_id for each in one.settled] == [to_hex(first.case_id)]
    assert [each.case_id for each in two.settled] == [to_hex(last.case_id)]
    assert two.up_to == one.up_to + 22
    assert await reader.read() is None


async def test_read__chain_moves_while_it_is_read__unavailable(chain: OnChain, reader: Reader) -> None:
    await Account(chain).settle([transition(chain)])

    class Forgetful(Rpc):
        async def batch(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
            return [None for _ in calls]

    async with Forgetful(chain.node_url) as rpc:
        with pytest.raises(Unavailable) as error:
            await Follower(rpc, chain.view).read(reader.known)
    assert error.value.code == "chain-moved"
