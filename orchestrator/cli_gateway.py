"""`lianban gateway`: one process that seats one or several departments."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from orchestrator.domain.errors import Invalid
from orchestrator.gateway.policy import Policy
from orchestrator.gateway.records import Records
from orchestrator.gateway.seat import AdapterFiles, Seat
from orchestrator.gateway.server import create_app
from orchestrator.gateway.store import Store, prepare_stores
from orchestrator.ledger.deployments import require_deployment
from orchestrator.ledger.rpc import Rpc
from orchestrator.ledger.view import LedgerView
from orchestrator.protocol.keyset import load_seat_keys
from orchestrator.scenarios import department_files
from orchestrator.settings import Settings, load_settings

RECORDS_FILE = "records.dsn"
POLICY_FILE = "policy.yaml"
KEYS = {"chain", "evidence", "request", "sealing"}

app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)


@app.command()
def gateway(
    departments: Annotated[str, typer.Option(help="部门 id,逗号分隔 · department ids, separated by commas")],
    port: Annotated[int, typer.Option(help="监听端口 · port to listen on")],
) -> None:
    """运行部门网关 · serve the gateway of one or several departments.

    Reads from `<keys dir>/<department>/`: the encrypted keys, `records.dsn` (connection string of the role that can only
    read the department's records) and, if there is one, `policy.yaml`.
    """
    settings = load_settings()
    names = [name.strip() for name in departments.split(",") if name.strip()]
    asyncio.run(serve(settings, names, port))


async def serve(settings: Settings, departments: list[str], port: int) -> None:
    """Serves until the process is told to end. Raises Invalid for a department without seat, keys or records."""
    stores = prepare_stores(settings.require_database_url(), departments)
    async with Rpc(settings.require_node_url(), timeout=settings.rpc_timeout) as rpc:
        view = LedgerView(rpc, require_deployment(settings.deployment_file))
        files = {path.stem: path for path in department_files()}
        seats = [await open_seat(settings, view, name, stores[name], files) for name in departments]
        config = uvicorn.Config(
            create_app(seats, view), host=settings.host, port=port, log_config=None, access_log=False
        )
        await uvicorn.Server(config).serve()


async def open_seat(settings: Settings, view: LedgerView, name: str, store: str, files: dict[str, Path]) -> Seat:
    """A department's seat from its key folder, its department file and the additions in the data folder."""
    if name not in files:
        raise Invalid(field="departments", detail=f"没有部门 {name}", detail_en=f"there is no department {name}")
    folder = settings.keys_dir / name
    records = folder / RECORDS_FILE
    if not records.exists():
        raise Invalid(
            field=RECORDS_FILE,
            detail=f"{name} 没有记录库的连接文件",
            detail_en=f"{name} has no connection file for its records",
            remedy=f"写入 {RECORDS_FILE},或运行 lianban seed / write it, or run lianban seed",
        )
    policy = folder / POLICY_FILE
    adapters = AdapterFiles(name, files[name], settings.adapters_dir)
    return Seat(
        keyset=(await view.seat_by_id(name)).keyset,
        keys=load_seat_keys(folder, settings.passphrase(), KEYS),
        adapters=adapters,
        records=Records(records.read_text().strip(), adapters.adapter),
        store=Store(store),
        production=settings.profile == "production",
        policy=Policy.load(policy) if policy.exists() else Policy(),
    )
