"""Desk: what a council's or seat's command works with, opened from the settings."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from eth_utils.address import to_checksum_address
from safe_eth.eth import EthereumClient

from orchestrator.council.acts import Act, GiveKeys, HandOver, KeysKind
from orchestrator.council.agreements import Agreement
from orchestrator.council.effects import Effect, foresee
from orchestrator.council.node import open_client
from orchestrator.council.registry import Registry, read_registry
from orchestrator.council.safe import read_safe
from orchestrator.domain.errors import Invalid, Refused
from orchestrator.ledger.accounts import chain_account
from orchestrator.ledger.deployments import require_deployment
from orchestrator.ledger.rpc import Rpc
from orchestrator.ledger.view import LedgerView, open_view
from orchestrator.protocol.keyfolder import stored_account
from orchestrator.protocol.keyset import SigningAccount
from orchestrator.settings import Settings, load_settings

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The consortium of this installation, read once, and the ways to its node."""

    settings: Settings
    rpc: Rpc
    view: LedgerView
    client: EthereumClient
    registry: Registry

    @property
    def since(self) -> int:
        """The block of the consortium's deployment."""
        return self.view.deployment.block

    def payer(self) -> SigningAccount:
        """The account with which this installation carries what others have signed."""
        return chain_account(self.settings.keys_dir / "publisher", self.settings.passphrase())

    def agreed(self, agreement: Agreement, kind: KeysKind) -> GiveKeys:
        """What the council can do with a department's agreement. Raises Invalid when it is for something else."""
        registry, number = self.registry, agreement.keyset.seat
        if (agreement.chain_id, agreement.consortium) != (registry.chain_id, registry.consortium):
            raise _wrong_agreement("consortium", "属于另一条链或另一个联盟", "is for another chain or consortium")
        if agreement.kind != kind:
            raise _wrong_agreement("kind", f"用途是 {agreement.kind}", f"is to {agreement.kind}")
        if kind != "admit" and agreement.change != registry.seat(number).changes + 1:
            raise _wrong_agreement("change", "给出之后席位又公告过变更", "is from before another change of the seat")
        return agreement.act()

    async def foresee(self, act: Act, council: str) -> Effect:
        """What an act of `council` would change, as `effects.foresee`."""
        safe = read_safe(self.client, act.to) if isinstance(act, HandOver) else None
        heir = (safe.threshold, len(safe.owners)) if safe else None
        return await foresee(act, self.registry, self.rpc, council, heir)

    def heir(self, address: str) -> str:
        """An address that can take the council over. Raises Refused for a contract that is no Safe, and for the council."""
        if address == self.registry.owner:
            raise Refused(
                "对方就是现理事会",
                detail_en="that is the present council",
                code="same-council",
                remedy="撤回移交用 hand-over --withdraw / to withdraw an offer: hand-over --withdraw",
            )
        if self.client.is_contract(to_checksum_address(address)) and read_safe(self.client, address) is None:
            raise Refused(
                f"{address} 是合约而不是 Safe,无法接任",
                detail_en=f"{address} is a contract and no Safe: it could not take over",
                code="no-safe",
                remedy="先 lianban council create / make one with lianban council create",
            )
        return address


def at_desk(action: Callable[[Desk], Awaitable[_Value]]) -> _Value:
    """Opens the desk and lets the action run. Raises Invalid when nothing is deployed, Unavailable without a node."""

    async def opened() -> _Value:
        settings = load_settings()
        url = settings.require_node_url()
        deployment = require_deployment(settings.deployment_file)
        with open_client(url, timeout=settings.rpc_timeout) as client:
            async with Rpc(url, timeout=settings.rpc_timeout) as rpc:
                view = await open_view(rpc, deployment, watches=False)
                registry = await read_registry(rpc, view)
                return await action(Desk(settings=settings, rpc=rpc, view=view, client=client, registry=registry))

    return asyncio.run(opened())


def account_at(settings: Settings, folder: Path, passphrase_file: Path | None = None) -> SigningAccount:
    """The chain key in a key folder. Raises Invalid when it is missing or does not open."""
    return stored_account(folder, passphrase(settings, passphrase_file))


def passphrase(settings: Settings, file: Path | None) -> str:
    """The passphrase in a file, by default this installation's. Raises Invalid when the file cannot be read."""
    if file is None:
        return settings.passphrase()
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError):
        raise Invalid(
            field="passphrase-file",
            detail="口令文件无法读取",
            detail_en="the passphrase file cannot be read",
            remedy="核对 --passphrase-file / check --passphrase-file",
        ) from None


def _wrong_agreement(field: str, problem: str, problem_en: str) -> Invalid:
    return Invalid(
        field=field,
        detail=f"同意书{problem}",
        detail_en=f"the agreement {problem_en}",
        remedy="由部门用 lianban seat agree 重新给出 / the department agrees anew with lianban seat agree",
        code="wrong-agreement",
    )
