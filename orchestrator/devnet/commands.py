"""`lianban devnet`: the database and the node alone; `lianban deploy`: the contracts, there or on a given node."""

from __future__ import annotations

import signal
import threading
from contextlib import ExitStack

import typer

from orchestrator.devnet.anvil import open_node
from orchestrator.devnet.postgres import open_database
from orchestrator.devnet.progress import Steps
from orchestrator.ledger.accounts import chain_account
from orchestrator.ledger.deploy import DEVNET_VETO_BLOCKS, deploy
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
def deploy_contracts() -> None:
    """部署合约，已部署则核对后沿用 · deploy the contracts, or check what is deployed and take it up.

    The council is the account in `<keys dir>/council`, made there when there is none. Doing it again changes nothing.
    """
    settings = load_settings(use_services_file=False)
    node = open_node(
        settings.node_url, settings.data_dir, block_seconds=settings.block_seconds, chain_id=settings.chain_id
    )
    with node as url, Steps().step("部署合约", "deploying the contracts") as step:
        deployment = deploy(
            url,
            chain_account(settings.keys_dir / "council", settings.passphrase()),
            settings.deployment_file,
            veto_blocks=DEVNET_VETO_BLOCKS,
            chain_id=settings.chain_id,
            timeout=settings.rpc_timeout,
        )
        step.note(f"chain {deployment.chain_id}")
    for name in ("consortium", "catalog", "ledger"):
        typer.echo(f"{name:<11}{getattr(deployment, name)}")
