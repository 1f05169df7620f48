"""`lianban devnet`: the database and the node alone; `lianban deploy`: the contracts, there or on
another network."""

from __future__ import annotations

import signal
import threading
from contextlib import ExitStack
from functools import partial
from typing import Annotated

import typer

from orchestrator.devnet.anvil import open_node
from orchestrator.devnet.deploying import run_deployment
from orchestrator.devnet.postgres import open_database
from orchestrator.devnet.progress import Steps
from orchestrator.ledger.accounts import chain_account
from orchestrator.ledger.networks import DEVNET, load_network
from orchestrator.ledger.plans import Terms
from orchestrator.ledger.transactions import KeySigner, fund, open_chain
from orchestrator.settings import load_settings

devnet_app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)
deploy_app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)


@devnet_app.command()
def devnet() -> None:
    """启动本地链与数据库，直到 Ctrl-C · run the devnet's node and database until Ctrl-C.

    Prints the settings with which other commands use them.
    """
    settings = load_settings(use_services_file=False)
    steps = Steps()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with ExitStack() as stack:
        with steps.step("启动数据库", "starting the database"):
            database = stack.enter_context(open_database(settings.database_url, settings.data_dir))
        with steps.step("启动链节点", "starting the node") as step:
            node = stack.enter_context(
                open_node(
                    settings.node_url,
                    settings.data_dir,
                    block_seconds=settings.block_seconds,
                    chain_id=settings.chain_id,
                )
            )
            step.note(node)
        typer.echo(f"export LIANBAN_DATABASE_URL='{database}'")
        typer.echo(f"export LIANBAN_NODE_URL='{node}'")
        ended.wait()


@deploy_app.command("deploy")
def deploy_contracts(
    network: Annotated[
        str,
        typer.Option(help="网络:deploy/networks 下的名字,或 .yaml 文件 · a name in deploy/networks, or a .yaml file"),
    ] = DEVNET,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="只说明会做什么 · only say what would be done")] = False,
) -> None:
    """部署合约，已部署则核对后沿用 · deploy the contracts, or check what is deployed and take it up.

    Doing it again changes nothing; after an interruption it goes on. docs/deploy.md describes networks.
    """
    settings = load_settings(use_services_file=False)
    chosen = load_network(network, settings)
    node = open_node(
        chosen.node_url, settings.data_dir, block_seconds=settings.block_seconds, chain_id=settings.chain_id
    )
    with node as url, open_chain(url, settings.rpc_timeout) as web3:
        run_deployment(
            web3,
            KeySigner(chain_account(chosen.account, settings.passphrase())),
            chosen.deployment_file,
            Terms(
                veto_blocks=chosen.veto_blocks,
                council=chosen.council,
                chain_id=chosen.chain_id,
                confirmations=chosen.confirmations,
            ),
            block_seconds=chosen.block_seconds,
            dry_run=dry_run,
            funder=partial(fund, url) if chosen.name == DEVNET else None,
        )
