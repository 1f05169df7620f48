"""`lianban gateway`: one process that seats one or several departments; `lianban gateway retire`: a department's own way out
of a binding."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from orchestrator.cli_try import try_adapter
from orchestrator.domain.errors import Invalid, LianbanError, Refused
from orchestrator.gateway.connectors.guarded import Connections
from orchestrator.gateway.definitions import retirement
from orchestrator.gateway.fetching import require_sources
from orchestrator.gateway.policy import POLICY_FILE, PolicyFile
from orchestrator.gateway.proposals import record_retirement
from orchestrator.gateway.querylog import require_head
from orchestrator.gateway.records import Records
from orchestrator.gateway.seat import AdapterFiles, Seat
from orchestrator.gateway.server import create_app
from orchestrator.gateway.store import Store, prepare_stores
from orchestrator.ledger.accounts import chain_account
from orchestrator.ledger.deployments import require_deployment
from orchestrator.ledger.proofs import Proofs
from orchestrator.ledger.rpc import Rpc
from orchestrator.ledger.sender import Sender
from orchestrator.ledger.transactions import fund
from orchestrator.ledger.view import LedgerView
from orchestrator.protocol.keyfolder import load_seat_keys
from orchestrator.protocol.proposal import Proposal
from orchestrator.protocol.sheet import retirement_digest
from orchestrator.scenarios import department_files
from orchestrator.settings import Settings, load_settings

RECORDS_FILE = "records.dsn"
DEPARTMENT_FILE = "department.yaml"
"""The department file of a department that does not ship, in its key folder."""
KEYS = {"chain", "evidence", "request", "sealing"}

app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)
app.command("try")(try_adapter)


@app.callback(invoke_without_command=True)
def gateway(
    context: typer.Context,
    departments: Annotated[str, typer.Option(help="部门 id,逗号分隔 · department ids, separated by commas")] = "",
    port: Annotated[int, typer.Option(help="监听端口 · port to listen on")] = 0,
) -> None:
    """运行部门网关 · serve the gateway of one or several departments.

    Reads from `<keys dir>/<department>/`: the encrypted keys, `records.dsn` (connection string of the role that can only
    read the department's records) and, if there is one, `policy.yaml`.
    """
    if context.invoked_subcommand is not None:
        return
    names = [name.strip() for name in departments.split(",") if name.strip()]
    if not names or not port:
        raise Invalid(
            field="--departments" if port else "--port",
            detail="请写明部门与端口",
            detail_en="departments and port are needed",
            remedy="lianban gateway --departments haidian-market-supervision --port 8201",
        )
    asyncio.run(serve(load_settings(), names, port))


@app.command("retire")
def retire(
    number: Annotated[int, typer.Argument(help="落地号 · number of the binding")],
    department: Annotated[str, typer.Argument(help="本部门 id · this department")],
    account: Annotated[
        Path | None,
        typer.Option(help="付燃料费的账户目录,默认自备 · folder of the account that sends; by default an own one"),
    ] = None,
) -> None:
    """本部门自行终止落地:不再受理新办件,在办件照常 · end a binding for new cases, by this department alone.

    Needs the department's chain key and any node; no operator, no gateway. The gateway does not sign the same again
    without an officer.
    """
    settings = load_settings()
    transaction, told = asyncio.run(_retire(settings, number, department, account))
    typer.echo(f"✓ {number} {transaction}")
    if isinstance(told, LianbanError):
        typer.echo(
            f"! 网关存储未记录({told.detail});请在 policy.yaml 中把该场景改为 ask 或 never"
            f" / not on record at the gateway ({told.detail_en}): say ask or never for the scenario in policy.yaml",
            err=True,
        )
    elif told is not None:
        typer.echo(
            f"! 此前为同一版本、地区签出的签名最迟可用至 {told:%Y-%m-%d %H:%M %Z};其间若再次落地,再运行一次即可"
            f" / signatures given before may be used until then: should it be bound again meanwhile, run this again",
            err=True,
        )


async def _retire(
    settings: Settings, number: int, department: str, account: Path | None
) -> tuple[str, datetime | LianbanError | None]:
    """The transaction, and what the gateway's store said: until when older signatures count, or why it was not told."""
    passphrase, node = settings.passphrase(), settings.require_node_url()
    folder = settings.keys_dir / department
    keys = load_seat_keys(folder, passphrase, {"chain"})
    carrier = chain_account(account or folder / "carrier", passphrase)
    async with Rpc(node, timeout=settings.rpc_timeout) as rpc:
        view = LedgerView(rpc, require_deployment(settings.deployment_file))
        seat, binding = await view.seat_by_id(department), await view.binding(number)
        if seat.number not in binding.named:
            raise Refused("该落地未涉及本部门", detail_en="the binding does not name this department", code="not-named")
        keys.follow(seat)
        digest = retirement_digest(view.domain("Catalog"), number, seat.number)
        # First the gateway is told: it must not sign the same again as soon as this one has ended.
        told = await _record(settings, department, await retirement(binding, seat.number, view), digest)
        await asyncio.to_thread(fund, node, carrier.address)
        signature = keys.chain.sign_hash(digest)
        transaction = await Sender(rpc, view, carrier).send("Catalog", "retire", number, seat.number, signature)
    return transaction, told


async def _record(
    settings: Settings, department: str, proposal: Proposal, digest: bytes
) -> datetime | LianbanError | None:
    """What came of telling the store; a department leaves even when its database is down."""
    try:
        dsn = await asyncio.to_thread(prepare_stores, settings.require_database_url(), [department])
        store = Store(dsn[department], connections=1)
        await store.open()
        try:
            return await record_retirement(proposal, digest, store)
        finally:
            await store.close()
    except LianbanError as error:
        return error


async def serve(settings: Settings, departments: list[str], port: int) -> None:
    """Serves until the process is told to end. Raises Invalid for a department without seat, keys or records, Diverged for
    one whose store is not that of its log."""
    stores = prepare_stores(settings.require_database_url(), departments)
    async with Rpc(settings.require_node_url(), timeout=settings.rpc_timeout) as rpc:
        view = LedgerView(rpc, require_deployment(settings.deployment_file))
        files = {path.stem: path for path in department_files()}
        seats = [await open_seat(settings, view, name, stores[name], files) for name in departments]
        await asyncio.gather(*(_check_log(seat, Proofs(rpc, view)) for seat in seats))
        config = uvicorn.Config(
            create_app(seats, view), host=settings.host, port=port, log_config=None, access_log=False
        )
        typer.echo(f"网关已就绪 serving: {', '.join(f'http://{settings.host}:{port}/{name}' for name in departments)}")
        await uvicorn.Server(config).serve()


async def _check_log(seat: Seat, proofs: Proofs) -> None:
    """Raises Diverged when the seat's store is not the one whose log is anchored on chain."""
    anchored = await proofs.anchored(seat.number)
    if anchored is not None:
        await seat.store.open()
        await require_head(seat.store, anchored)


@asynccontextmanager
async def at_department(settings: Settings, department: str) -> AsyncIterator[tuple[Seat, LedgerView, Rpc]]:
    """A department's seat with its store open, for one command in the gateway's place, with the chain. Raises as `serve`."""
    dsn = prepare_stores(settings.require_database_url(), [department])[department]
    files = {path.stem: path for path in department_files()}
    async with Rpc(settings.require_node_url(), timeout=settings.rpc_timeout) as rpc:
        view = LedgerView(rpc, require_deployment(settings.deployment_file))
        seat = await open_seat(settings, view, department, dsn, files)
        await seat.store.open()
        try:
            yield seat, view, rpc
        finally:
            await seat.store.close()


async def open_seat(settings: Settings, view: LedgerView, name: str, store: str, files: dict[str, Path]) -> Seat:
    """A department's seat from its key folder, its department file and the additions in the data folder."""
    folder = settings.keys_dir / name
    own = folder / DEPARTMENT_FILE
    document = own if own.exists() else files.get(name)
    if document is None:
        raise Invalid(
            field="departments",
            detail=f"没有部门 {name}",
            detail_en=f"there is no department {name}",
            remedy=f"核对 id;新部门在其密钥目录写 {DEPARTMENT_FILE} / check the id; a new one writes {DEPARTMENT_FILE}",
        )
    adapters = AdapterFiles(name, document, settings.adapters_dir)
    sources = Connections(folder)
    require_sources(adapters.adapter, sources)
    records = folder / RECORDS_FILE
    if not records.exists() and not adapters.adapter.tables() and adapters.adapter.sources():
        # Claims are computed in a session of PostgreSQL that can see nothing but what sources gave: an empty database.
        from orchestrator.seeding.city import open_databases  # seldom needed, and slow to import

        open_databases(settings.require_database_url(), settings.keys_dir, {name: adapters.adapter})
    if not records.exists():
        raise Invalid(
            field=RECORDS_FILE,
            detail=f"{name} 没有记录库的连接文件",
            detail_en=f"{name} has no connection file for its records",
            remedy=f"写入 {RECORDS_FILE},或运行 lianban seed / write it, or run lianban seed",
        )
    there = await view.seat_by_id(name)
    keys = load_seat_keys(folder, settings.passphrase(), KEYS)
    keys.follow(there)
    return Seat(
        keyset=there.keyset,
        keys=keys,
        adapters=adapters,
        records=Records(records.read_text().strip(), adapters.adapter, sources),
        store=Store(store),
        production=settings.profile == "production",
        policy=PolicyFile(folder / POLICY_FILE),
    )
