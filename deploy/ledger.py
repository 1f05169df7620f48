"""Deploys the contracts through ape, with ape's accounts, providers and plugins: what `lianban deploy` does without it.

    ape run deploy --network ethereum:local:foundry --account TEST::0
    ape run deploy --network https://node.example:8545 --account deployer --for consortium

The first rehearses on a chain that ape starts and ends, and keeps nothing. The second deploys what
`deploy/networks/consortium.yaml` says and writes the addresses. ape looks for scripts in `scripts/`, hence the link there.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import click
from ape.cli import ConnectedProviderCommand, account_option
from web3.types import TxParams

from orchestrator.devnet.deploying import run_deployment
from orchestrator.domain.errors import Invalid, LianbanError
from orchestrator.ledger.networks import DEVNET, load_network
from orchestrator.ledger.plans import Terms
from orchestrator.settings import load_settings


class ApeSigner:
    """An account of ape's, which signs however ape has it sign: a key file, a hardware wallet, a test account."""

    def __init__(self, account: Any) -> None:
        self._account = account

    @property
    def address(self) -> str:
        """EIP-55."""
        return str(self._account.address)

    def sign(self, transaction: TxParams) -> bytes:
        """The transaction as it is sent, signed. Raises click.Abort when the account's owner says no."""
        signed = self._account.sign_transaction(
            self._account.provider.network.ecosystem.create_transaction(**transaction)
        )
        if signed is None:
            raise click.Abort
        return bytes(signed.serialize_transaction())


@click.command(cls=ConnectedProviderCommand)
@account_option()
@click.option("--for", "name", help="网络文件 · the network: a name in deploy/networks, or a .yaml file")
@click.option("--dry-run", is_flag=True, help="只说明会做什么 · only say what would be done")
def cli(account: Any, network: Any, provider: Any, name: str | None, dry_run: bool) -> None:
    """部署合约 · deploy the contracts, or check what is deployed and take it up."""
    if name is None and not network.is_local:
        raise click.UsageError("--for: 本地链以外须指明网络文件 · beyond a local chain, name the network file")
    try:
        # On a chain that ends with this command nothing is kept, and it is nobody's but the account's.
        chosen = load_network(name or DEVNET, load_settings(), needs_node=False)
        with tempfile.TemporaryDirectory() as folder:
            run_deployment(
                provider.web3,
                ApeSigner(account),
                Path(folder) / "deployment.json" if name is None else chosen.deployment_file,
                Terms(
                    veto_blocks=chosen.veto_blocks,
                    council=chosen.council,
                    chain_id=None if name is None else chosen.chain_id,
                    confirmations=chosen.confirmations,
                ),
                block_seconds=chosen.block_seconds,
                dry_run=dry_run,
            )
    except LianbanError as error:
        where = f"{error.field}: " if isinstance(error, Invalid) else ""
        failure = click.ClickException(f"{where}{error}\n  → {error.remedy}")
        failure.exit_code = 2 if isinstance(error, Invalid) else 1
        raise failure from None
