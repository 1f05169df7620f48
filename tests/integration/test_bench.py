"""The gas bench on a real node, small: what it measures is what the EVM's own prices allow."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from orchestrator.bench import ours
from orchestrator.bench.eas import load_package
from orchestrator.bench.gas import Sizes, measure
from orchestrator.bench.ours import Chain
from orchestrator.devnet.progress import Steps
from orchestrator.domain.errors import Refused
from orchestrator.ledger.rpc import Rpc
from orchestrator.protocol.keyset import SigningAccount
from tests.support.onchain import automining_node

pytestmark = pytest.mark.anyio

NEW_SLOT, CHANGED_SLOT, WORD = 22_100, 5_000, 512
"""Gas: EIP-2929 with a cold slot, and 32 bytes of calldata without a zero (EIP-2028)."""
EAS_SLOTS = 7
"""A new attestation's: uid, schema, times, recipient, attester, length and word of the data."""
SMALL = Sizes(batches=(1, 4), eas_cases=5, eas_batch=15, slots=16)


@pytest.fixture(scope="module")
def node() -> Iterator[str]:
    with automining_node() as url:
        yield url


@pytest.fixture
def chain(node: str, tmp_path: Path) -> Chain:
    return Chain(url=node, account=SigningAccount.generate(), folder=tmp_path)


async def test_measure__small__keys_and_relations(chain: Chain) -> None:
    out = StringIO()
    package = load_package()
    found = await measure(chain, package, Steps(Console(file=out, force_terminal=False)), SMALL)
    document = found.document()

    floor, here = document["floor"], document["ours"]
    assert NEW_SLOT + WORD * 0.9 < floor["one_slot"] <= NEW_SLOT + WORD + 8
    assert CHANGED_SLOT + WORD * 0.9 < floor["changed_slot"] <= CHANGED_SLOT + WORD + 8
    assert floor["one_slot"] < here["decided_at_once_4"] < here["decided_at_once_1"]
    assert here["decided_at_once_4"] < here["two_batches_4"] < here["two_batches_1"]
    assert here["two_batches_4"] == pytest.approx(here["accepted_4"] + here["decided_later_4"], abs=1)
    heads_in_second = here["two_batches_heads_in_both_4"] - here["two_batches_4"]
    assert 100_000 < 4 * heads_in_second < here["six_heads_alone"]
    assert here["largest_transaction"] == max(each.at_once for each in found.batches)

    eas = document["eas"]
    assert EAS_SLOTS * NEW_SLOT < eas["multiattest_per_attestation"] < (EAS_SLOTS + 1) * NEW_SLOT
    assert eas["multiattest_per_case"] == pytest.approx(6 * eas["multiattest_per_attestation"], abs=6)
    assert document["ratio_to_eas"] == pytest.approx(eas["multiattest_per_case"] / here["decided_at_once_4"], abs=0.001)
    assert document["ratio_to_floor"] == pytest.approx(here["decided_at_once_4"] / floor["one_slot"], abs=0.001)
    assert document["within_budget"] is False, "four cases share what 256 do"
    assert document["node"]["client"].startswith("anvil/")
    assert document["node"]["hardfork"]
    assert "9/9" in out.getvalue(), "nine batches of ours"
    assert "30/30" in out.getvalue(), "six attestations of five cases"


async def test_measure__ledger_takes_less_than_was_sent__refused(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gas of refused cases would flatter us."""
    monkeypatch.setattr(ours, "both", ours.lead)
    async with Rpc(chain.url) as rpc:
        ledger = await ours.open_ledger(rpc, chain)
        with pytest.raises(Refused, match="0 of 2 cases"):
            await ledger.decide_at_once(2)


async def test_measure__another_chain_than_expected__refused(chain: Chain) -> None:
    elsewhere = Chain(url=chain.url, account=chain.account, folder=chain.folder, chain_id=1)
    async with Rpc(chain.url) as rpc:
        with pytest.raises(Refused) as caught:
            await ours.open_ledger(rpc, elsewhere)
    assert caught.value.code == "wrong-chain"
