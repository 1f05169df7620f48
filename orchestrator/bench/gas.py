"""The gas bench: our contracts, EAS's and the bare floor, measured with real transactions in one run on one node."""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import dataclass
from datetime import UTC, datetime

from orchestrator.bench.eas import Package, attestations, open_eas
from orchestrator.bench.floor import measure_floor
from orchestrator.bench.ours import APPROVALS, EVIDENCES, Chain, Ledger, open_ledger
from orchestrator.bench.report import BatchFigures, EasFigures, Findings, Node
from orchestrator.bench.wallet import Wallet
from orchestrator.devnet.progress import Steps
from orchestrator.domain.errors import LianbanError
from orchestrator.ledger.rpc import Rpc


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much is measured."""

    batches: tuple[int, ...] = (1, 16, 64, 256)
    """Cases in a batch of ours, ascending; the last is what budget and ratios are about."""
    eas_cases: int = 250
    """Cases recorded with EAS: as many as fill whole batches."""
    eas_batch: int = 100
    """Attestations in one `multiAttest`."""
    slots: int = 256
    """New slots in one transaction of the floor, at least 2."""


async def measure(chain: Chain, package: Package, steps: Steps, sizes: Sizes) -> Findings:
    """Deploys everything anew on the node, from one account, and measures it.

    Raises Refused when something that should be recorded is not,
    Unavailable when the node does not answer or mine.
    """
    # The node mines 16 million gas in one transaction before it answers the next question.
    async with Rpc(chain.url, timeout=60.0) as rpc:
        with steps.step("部署链办合约,接纳席位", "deploying our contracts, admitting seats"):
            ledger = await open_ledger(rpc, chain)
        batches, heads_again, heads_alone = await _ours(ledger, steps, sizes)
        wallet = Wallet(rpc, chain.account)
        eas = await _eas(wallet, package, steps, sizes)
        with steps.step("测量一个新存储槽", "measuring one new slot"):
            floor = await measure_floor(wallet, sizes.slots)
        return Findings(
            batches=batches,
            heads_again=heads_again,
            heads_alone=heads_alone,
            eas=eas,
            floor=floor,
            node=await _node(rpc),
            at=datetime.now(UTC),
        )


async def _ours(ledger: Ledger, steps: Steps, sizes: Sizes) -> tuple[list[BatchFigures], int, int]:
    with steps.counted("结算各种规模的批次", "settling batches", 3 * len(sizes.batches) + 3) as done:
        batches = []
        for cases in sizes.batches:
            at_once = await ledger.decide_at_once(cases)
            done(1)
            accepted, decided = await ledger.accept_then_decide(cases)
            done(2)
            batches.append(BatchFigures(cases=cases, at_once=at_once, accepted=accepted, decided=decided))
        heads_again = sum(await ledger.accept_then_decide(sizes.batches[-1], heads_again=True))
        done(2)
        heads_alone = await ledger.anchor_heads(sizes.batches[-1])
        done(1)
    return batches, heads_again, heads_alone


async def _eas(wallet: Wallet, package: Package, steps: Steps, sizes: Sizes) -> EasFigures:
    with steps.step("部署 EAS 合约,登记模式", "deploying EAS, registering schemas") as step:
        eas = await open_eas(wallet, package)
        step.note(package.version)
    whole = sizes.eas_cases * (EVIDENCES + APPROVALS)
    rest = attestations(sizes.eas_cases)
    gas = 0
    with steps.counted("EAS 记录同样的办件", "the same cases as EAS attestations", whole) as done:
        while batch := list(itertools.islice(rest, sizes.eas_batch)):
            gas += await eas.attest(batch)
            done(len(batch))
    return EasFigures(
        package=package.version, cases=sizes.eas_cases, batch=sizes.eas_batch, attestations=whole, gas=gas
    )


async def _node(rpc: Rpc) -> Node:
    hardfork: str | None = None
    # Another client has no such method.
    with contextlib.suppress(LianbanError):
        hardfork = str((await rpc.call("anvil_nodeInfo"))["hardFork"])
    return Node(
        client=str(await rpc.call("web3_clientVersion")),
        chain_id=int(await rpc.call("eth_chainId"), 16),
        hardfork=hardfork,
    )
