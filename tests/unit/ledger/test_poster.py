"""The poster: what it signs lands once, however often it is sent, and only on the chain that it is for."""

from __future__ import annotations

import secrets

import pytest
from eth_account import Account

from orchestrator.domain.canonical import to_hex
from orchestrator.domain.case import Status
from orchestrator.domain.errors import Diverged, Unavailable
from orchestrator.ledger.poster import GAS_LIMIT, Poster
from orchestrator.ledger.rpc import Rpc
from orchestrator.protocol.keyset import SigningAccount
from orchestrator.protocol.querylog import LogTree
from tests.support.onchain import OnChain, ask, automining_node, head, mined, sheet, transition

pytestmark = pytest.mark.anyio

MARKET, CULTURE = 1, 3


@pytest.fixture
def poster(chain: OnChain) -> Poster:
    return Poster(chain.rpc, chain.view, SigningAccount.generate().secret)


async def test_send__same_bytes_again__settled_once(chain: OnChain, poster: Poster) -> None:
    batch = [transition(chain)]
    signed = await poster.sign(await poster.nonce(), batch, [sheet(chain, batch)], [])
    assert await poster.outcomes([signed.hash]) == ["unknown"]
    for _ in range(3):
        await poster.send([signed.raw])
    await mined(chain.rpc)
    assert await poster.outcomes([signed.hash]) == ["done"]
    assert await poster.nonce() == 1
    case = to_hex(batch[0].case_id)
    assert await chain.view.status_of(case) == (Status.APPROVED, 1, chain.consortium.binding.number)


async def test_send__same_bytes_while_they_wait__harmless(chain: OnChain, poster: Poster) -> None:
    batch = [transition(chain)]
    signed = await poster.sign(await poster.nonce(), batch, [sheet(chain, batch)], [])
    ask(chain.node_url, "evm_setAutomine", False)
    try:
        await poster.send([signed.raw, signed.raw])
        await poster.send([signed.raw])
    finally:
        ask(chain.node_url, "evm_setAutomine", True)
    ask(chain.node_url, "anvil_mine", "0x1")
    assert await poster.outcomes([signed.hash]) == ["done"]


async def test_sign__transaction__names_its_own_hash_and_sender(chain: OnChain, poster: Poster) -> None:
    batch = [transition(chain)]
    signed = await poster.sign(7, batch, [sheet(chain, batch)], [])
    assert Account.recover_transaction(signed.raw) == poster.address
    assert signed.nonce == 7
    assert len(signed.hash) == 66


async def test_sign__full_batch_with_all_that_goes_with_it__fits_one_transaction(
    chain: OnChain, poster: Poster
) -> None:
    batch = [transition(chain) for _ in range(256)]
    signed = await poster.sign(await poster.nonce(), batch, [sheet(chain, batch)] * 6, [])
    await poster.send([signed.raw])
    await mined(chain.rpc)
    receipt = ask(chain.node_url, "eth_getTransactionReceipt", signed.hash)
    assert (int(receipt["status"], 16), len(receipt["logs"])) == (1, 256)
    assert int(receipt["gasUsed"], 16) < GAS_LIMIT


async def test_sign__forged_sheet__nothing_moves(chain: OnChain, poster: Poster) -> None:
    batch = [transition(chain)]
    forged = sheet(chain, batch, key=chain.consortium.keys[0].chain)
    signed = await poster.sign(await poster.nonce(), batch, [forged], [])
    await poster.send([signed.raw])
    await mined(chain.rpc)
    assert await chain.view.status_of(to_hex(batch[0].case_id)) == (Status.NONE, 0, 0)


async def test_outcomes__reverted__failed(chain: OnChain, poster: Poster) -> None:
    # A batch that the contract refuses as a whole: one transition too many.
    batch = [transition(chain) for _ in range(257)]
    signed = await poster.sign(await poster.nonce(), batch, [], [])
    await poster.send([signed.raw])
    await mined(chain.rpc)
    assert await poster.outcomes([signed.hash]) == ["failed"]


async def test_sign__node_on_another_chain__diverged(chain: OnChain) -> None:
    with automining_node() as elsewhere:
        async with Rpc(elsewhere) as rpc:
            poster = Poster(rpc, chain.view, SigningAccount.generate().secret)
            with pytest.raises(Diverged) as error:
                await poster.sign(0, [transition(chain)], [], [])
            assert error.value.code == "wrong-chain"


async def test_send__node_refuses__unavailable(chain: OnChain, poster: Poster) -> None:
    with pytest.raises(Unavailable):
        await poster.send([b"\x02no transaction"])


async def test_settle__log_heads__anchored_with_their_proofs(chain: OnChain, poster: Poster) -> None:
    tree = LogTree()
    tree.append([secrets.token_bytes(32) for _ in range(3)])
    first = head(chain, MARKET, tree.size, tree.root())
    signed = await poster.sign(await poster.nonce(), [], [], [first])
    await poster.send([signed.raw])
    await mined(chain.rpc)
    assert await poster.anchored_head(MARKET) == (3, tree.root()[:26])
    old = tree.root()
    tree.append([secrets.token_bytes(32) for _ in range(4)])
    proof = tuple(tree.consistency_proof(3))
    second = head(chain, MARKET, 7, tree.root(), old_size=3, old_root=old, proof=proof)
    signed = await poster.sign(await poster.nonce(), [], [], [second])
    await poster.send([signed.raw])
    await mined(chain.rpc)
    assert await poster.anchored_head(MARKET) == (7, tree.root()[:26])
    assert await poster.anchored_head(CULTURE) == (0, bytes(26))
