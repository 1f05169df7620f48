"""A consortium of tests on a real chain: contracts deployed, seats admitted, the scenario published and bound."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from orchestrator.devnet.anvil import open_node
from orchestrator.domain.canonical import from_hex
from orchestrator.domain.case import Status
from orchestrator.ledger.abi import ContractAbi
from orchestrator.ledger.admission import admit_seats
from orchestrator.ledger.artifacts import load_artifact
from orchestrator.ledger.deploy import deploy
from orchestrator.ledger.deployments import Deployment
from orchestrator.ledger.poster import HeadPart, SheetPart
from orchestrator.ledger.rpc import Rpc
from orchestrator.ledger.sender import Sender
from orchestrator.ledger.view import LedgerView
from orchestrator.protocol.keyset import SigningAccount
from orchestrator.protocol.sheet import (
    Binding,
    Transition,
    binding_digest,
    head_digest,
    publication_digest,
    sheet_digest,
)
from tests.support.consortium import Consortium, make_consortium

VETO_BLOCKS = 20
"""For how many blocks a council's change of a key waits and can be vetoed."""


@contextmanager
def automining_node() -> Iterator[str]:
    """The URL of an Anvil that mines every transaction at once."""
    folder = Path(tempfile.mkdtemp(prefix="lianban-test-"))
    with open_node(None, folder) as url:
        ask(url, "evm_setAutomine", True)
        yield url
    shutil.rmtree(folder)


def ask(url: str, method: str, *params: Any) -> Any:
    """The result of one JSON-RPC call, without any code of ours."""
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    answer = httpx.post(url, json=body, trust_env=False).json()
    assert "error" not in answer, answer
    return answer["result"]


async def mined(rpc: Rpc) -> None:
    """Waits until a node that mines every transaction at once has done so: it answers a moment before, and a busy one a long
    moment."""
    for _ in range(1000):
        if int((await rpc.call("txpool_status"))["pending"], 16) == 0:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the node mines nothing")


def read(url: str, contract: str, address: str, name: str, *args: Any) -> tuple[Any, ...]:
    """What a view function of one of our contracts answers."""
    abi = ContractAbi(load_artifact(contract).abi)
    return abi.result(name, str(ask(url, "eth_call", {"to": address, "data": abi.call(name, *args)}, "latest")))


@dataclass(frozen=True, slots=True, kw_only=True)
class OnChain:
    """A consortium whose chain is `view`, with its council and an account that carries what others signed."""

    consortium: Consortium
    node_url: str
    rpc: Rpc
    view: LedgerView
    deployment: Deployment
    council: SigningAccount
    sender: Sender
    council_sender: Sender

    async def rebind(self) -> int:
        """The same binding once more, under the next number."""
        return await bind(self.consortium, self.view, self.sender)


@asynccontextmanager
async def on_chain(node_url: str, scenario: str, *, only: Sequence[int] | None = None) -> AsyncIterator[OnChain]:
    """A consortium with `scenario` bound under number 1; `only` limits which seats are admitted to those and the named."""
    consortium = make_consortium(scenario)
    council = SigningAccount.generate()
    named = sorted({*consortium.binding.named, *(only or ())})
    with tempfile.TemporaryDirectory() as folder:
        deployment = deploy(node_url, council, Path(folder) / "deployment.json", veto_blocks=VETO_BLOCKS)
    seats = [(number, consortium.keys[number], consortium.seat(number).keyset) for number in named]
    admit_seats(deployment, node_url, council, seats)
    async with Rpc(node_url) as rpc:
        view = LedgerView(rpc, deployment, max_age=0.0)
        sender = Sender(rpc, view, SigningAccount.generate())
        version, texts = from_hex(consortium.scenario.version), from_hex(consortium.scenario.texts_hash)
        lead = consortium.binding.approvers[0]
        digest = publication_digest(view.domain("Catalog"), consortium.scenario.id, version, texts, lead)
        signature = consortium.keys[lead].chain.sign_hash(digest)
        await sender.send("Catalog", "publish", consortium.scenario.id, version, texts, lead, signature)
        number = await bind(consortium, view, sender)
        on_view = replace(consortium, chain=view, binding=await view.binding(number))  # type: ignore[arg-type]
        yield OnChain(
            consortium=on_view,
            node_url=node_url,
            rpc=rpc,
            view=view,
            deployment=deployment,
            council=council,
            sender=sender,
            council_sender=Sender(rpc, view, council),
        )


async def bind(consortium: Consortium, view: LedgerView, sender: Sender) -> int:
    """Binds the consortium's scenario with every named seat's signature; the binding's number."""
    there = consortium.binding
    binding = Binding(
        version=from_hex(there.version),
        region=int(there.region),
        identity=there.identity,
        operator=there.operator,
        approvers=there.approvers,
        providers=there.providers,
        valid_until=int(time.time()) + 3600,
    )
    digest = binding_digest(view.domain("Catalog"), binding)
    signatures = [consortium.keys[seat].chain.sign_hash(digest) for seat in binding.named]
    await sender.send("Catalog", "bind", binding.struct, signatures)
    return max(each.number for each in await view.bindings())


def transition(chain: OnChain, case: bytes | None = None, **changes: Any) -> Transition:
    """A transition of a new case (or `case`) to Approved, with changes."""
    fields: dict[str, Any] = {
        "case_id": case or secrets.token_bytes(32),
        "root": secrets.token_bytes(32),
        "status": Status.APPROVED,
        "sequence": 1,
        "binding": chain.consortium.binding.number,
    }
    return Transition(**(fields | changes))


def sheet(
    chain: OnChain,
    batch: Sequence[Transition],
    *,
    seat: int | None = None,
    covers: Iterable[int] | None = None,
    lasts: int = 600,
    key: SigningAccount | None = None,
) -> SheetPart:
    """A seat's sheet over (some of) a batch; the lead's unless told otherwise."""
    number = chain.consortium.binding.approvers[0] if seat is None else seat
    covered = frozenset(range(len(batch)) if covers is None else covers)
    until = int(time.time()) + lasts
    digest = sheet_digest(chain.view.domain("CaseLedger"), number, until, [batch[each] for each in sorted(covered)])
    signature = (key or chain.consortium.keys[number].chain).sign_hash(digest)
    return SheetPart(seat=number, valid_until=until, covers=covered, signature=signature)


def head(chain: OnChain, seat: int, size: int, root: bytes, **changes: Any) -> HeadPart:
    """A seat's signed log head, the first one unless `changes` name an older one."""
    digest = head_digest(chain.view.domain("CaseLedger"), seat, size, root)
    fields: dict[str, Any] = {
        "seat": seat,
        "old_size": 0,
        "old_root": bytes(32),
        "new_size": size,
        "new_root": root,
        "proof": (),
        "signature": chain.consortium.keys[seat].chain.sign_hash(digest),
    }
    return HeadPart(**(fields | changes))
