"""`lianban officer`: an officer's key, its certification by the department, the queue and decisions."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any, cast

import httpx
import typer
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from rich.console import Console
from rich.table import Table

from orchestrator.cli_gateway import open_seat
from orchestrator.domain.errors import Invalid
from orchestrator.gateway.desk import certify_officer, revoke_officer
from orchestrator.gateway.officer import OfficerClient
from orchestrator.gateway.store import prepare_stores
from orchestrator.ledger.deployments import require_deployment
from orchestrator.ledger.rpc import Rpc
from orchestrator.ledger.view import LedgerView
from orchestrator.protocol.jose import SigningKey, peek_jws
from orchestrator.protocol.verdict import OUTCOMES, Outcome
from orchestrator.protocol.wire import seat_number
from orchestrator.scenarios import department_files
from orchestrator.settings import load_settings

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_show_locals=False, help="审批人员 · officers"
)

KeyFile = Annotated[Path, typer.Option("--key", help="经办人私钥文件 · the officer's private key file")]
Passphrase = Annotated[
    str,
    typer.Option(prompt=True, hide_input=True, envvar="LIANBAN_OFFICER_PASSPHRASE", help="私钥口令 · its passphrase"),
]
CertificateFile = Annotated[
    Path, typer.Option("--certificate", exists=True, help="席位签发的证书 · the seat's certificate")
]


@app.command()
def keygen(key: KeyFile, passphrase: Passphrase) -> None:
    """在经办人一侧生成密钥,打印公钥 · make a key on the officer's side; prints the public JWK to be certified."""
    if key.exists():
        raise Invalid(field="key", detail="密钥文件已存在", detail_en="the key file exists", remedy="换一个文件名")
    made = SigningKey.generate()
    key.touch(mode=0o600)
    key.write_bytes(made.pem(passphrase))
    typer.echo(json.dumps(made.jwk))


@app.command()
def certify(
    department: str,
    pseudonym: Annotated[str, typer.Argument(help="工号等代称,不用姓名 · a pseudonym, no name")],
    public_jwk: Annotated[str, typer.Argument(help="keygen 打印的公钥 · what keygen printed")],
    out: Annotated[Path, typer.Option("--out", help="证书文件 · where the certificate goes")],
    days: int = 180,
) -> None:
    """由部门(席位)认证经办人公钥 · certify an officer's key; run by the department, needs its keys."""

    async def run(seat: Any) -> str:
        return await certify_officer(seat, json.loads(public_jwk), pseudonym, days=days)

    out.write_text(_with_seat(department, run) + "\n")
    typer.echo(f"✓ {out}")


@app.command()
def end(department: str, kid: str) -> None:
    """停用经办人证书 · end an officer's certificate at once."""

    async def run(seat: Any) -> bool:
        return await revoke_officer(seat, kid)

    if not _with_seat(department, run):
        raise Invalid(field="kid", detail="没有在用的该证书", detail_en="no such certificate is in force")


@app.command()
def queue(key: KeyFile, certificate: CertificateFile, passphrase: Passphrase) -> None:
    """待办件 · cases that wait for an officer."""
    rows = _at_desk(key, certificate, passphrase, lambda client: client.queue())
    table = Table("办件 case", "场景 scenario", "拟办 proposed", "依据 rows", "进入待办 since")
    for row in rows:
        table.add_row(row["case"], row["scenario"], row["proposed"], ", ".join(row["rows"]), row["since"])
    Console().print(table)


@app.command()
def show(case: str, key: KeyFile, certificate: CertificateFile, passphrase: Passphrase) -> None:
    """打开案卷(查看留痕) · open a dossier; the look is written down."""
    found = _at_desk(key, certificate, passphrase, lambda client: client.look(case))
    typer.echo(json.dumps(found, ensure_ascii=False, indent=2))


@app.command()
def decide(
    case: str,
    outcome: str,
    reason: str,
    key: KeyFile,
    certificate: CertificateFile,
    passphrase: Passphrase,
    material: Annotated[list[str] | None, typer.Option(help="需补正的材料 · material to be supplied")] = None,
) -> None:
    """作出决定 · decide: approve, return or refuse, with a reason."""
    if outcome not in OUTCOMES or outcome == "manual":
        raise Invalid(
            field="outcome", detail="决定须为 approve、return 或 refuse", detail_en="approve, return or refuse"
        )

    async def run(client: OfficerClient) -> dict[str, Any]:
        items = [item for item in await client.queue() if item["case"] == case]
        if not items:
            raise Invalid(field="case", detail="该办件不在待办中", detail_en="this case does not wait for an officer")
        return await client.decide(items[0], cast(Outcome, outcome), reason, materials_wanted=material or ())

    typer.echo(json.dumps(_at_desk(key, certificate, passphrase, run), ensure_ascii=False))


@app.command()
def revoke(case: str, reason: str, key: KeyFile, certificate: CertificateFile, passphrase: Passphrase) -> None:
    """撤销已准予的办件 · order the revocation of an approval."""
    typer.echo(json.dumps(_at_desk(key, certificate, passphrase, lambda client: client.revoke(case, reason))))


def _with_seat(department: str, action: Any) -> Any:
    settings = load_settings()

    async def run() -> Any:
        store = prepare_stores(settings.require_database_url(), [department])[department]
        files = {path.stem: path for path in department_files()}
        async with Rpc(settings.require_node_url(), timeout=settings.rpc_timeout) as rpc:
            view = LedgerView(rpc, require_deployment(settings.deployment_file))
            seat = await open_seat(settings, view, department, store, files)
            await seat.store.open()
            try:
                return await action(seat)
            finally:
                await seat.store.close()

    return asyncio.run(run())


def _at_desk(key: Path, certificate: Path, passphrase: str, action: Any) -> Any:
    settings = load_settings()
    try:
        private = load_pem_private_key(key.read_bytes(), passphrase.encode())
    except (OSError, ValueError, TypeError):
        raise Invalid(
            field="key", detail="私钥无法打开", detail_en="the key does not open", remedy="核对文件与口令"
        ) from None
    if not isinstance(private, EllipticCurvePrivateKey):
        raise Invalid(field="key", detail="不是经办人私钥", detail_en="this is no officer's key")
    token = certificate.read_text().strip()
    number = seat_number(peek_jws(token)[1].get("iss"))

    async def run() -> Any:
        async with (
            Rpc(settings.require_node_url(), timeout=settings.rpc_timeout) as rpc,
            httpx.AsyncClient(timeout=settings.gateway_timeout, trust_env=False) as http,
        ):
            seat = await LedgerView(rpc, require_deployment(settings.deployment_file)).seat(number)
            client = OfficerClient(
                http, endpoint=seat.keyset.endpoint, seat=number, key=SigningKey(private), certificate=token
            )
            return await action(client)

    return asyncio.run(run())
