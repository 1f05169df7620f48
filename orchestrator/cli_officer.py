"""`lianban officer`: an officer's key, its certification by the department, cases to decide, signatures to approve."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_args

import httpx
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from orchestrator.cli_acts import acts
from orchestrator.cli_gateway import open_seat
from orchestrator.cli_replay import show_replay
from orchestrator.cli_scenario import show_changes
from orchestrator.domain.canonical import unb64
from orchestrator.domain.case import Status
from orchestrator.domain.errors import Invalid
from orchestrator.domain.vocabulary import VOCABULARY, Words
from orchestrator.gateway.desk import certify_officer, revoke_officer
from orchestrator.gateway.officer import OfficerClient
from orchestrator.gateway.reading import Reading
from orchestrator.gateway.store import prepare_stores
from orchestrator.ledger.deployments import require_deployment
from orchestrator.ledger.rpc import Rpc
from orchestrator.ledger.view import LedgerView
from orchestrator.protocol.jose import SigningKey, peek_jws
from orchestrator.protocol.officer import CorrectionOutcome, Duty
from orchestrator.protocol.verdict import OUTCOMES, Outcome
from orchestrator.protocol.wire import seat_number
from orchestrator.scenarios import department_files, load_catalogue
from orchestrator.settings import load_settings

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_show_locals=False, help="审批人员 · officers"
)

KINDS = {
    "publication": ("发布版本", "publication"),
    "texts": ("修订文本", "new texts"),
    "binding": ("落地", "binding"),
    "retirement": ("终止落地", "retirement"),
}
"""What a seat may be asked to sign."""
UNSAFE = re.compile(r"[^\w.-]")
"""What a name of a file that somebody else chose is not written with."""

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
    duty: Annotated[
        list[str] | None,
        typer.Option(
            "--duty",
            help="职责:cases 办件(默认)、signatures 签署、corrections 异议答复,可多次给出 · may be given again",
        ),
    ] = None,
) -> None:
    """由部门(席位)认证经办人公钥 · certify an officer's key; run by the department, needs its keys."""
    duties = duty or ["cases"]
    for each in duties:
        if each not in get_args(Duty):
            raise Invalid(
                field="--duty",
                detail="职责须为 cases、signatures 或 corrections",
                detail_en="a duty is cases, signatures or corrections",
            )

    async def run(seat: Any) -> str:
        may = [cast(Duty, each) for each in duties]
        return await certify_officer(seat, json.loads(public_jwk), pseudonym, days=days, may=may)

    out.write_text(with_seat(department, run) + "\n")
    typer.echo(f"✓ {out}")


@app.command()
def end(department: str, kid: str) -> None:
    """停用经办人证书 · end an officer's certificate at once."""

    async def run(seat: Any) -> bool:
        return await revoke_officer(seat, kid)

    if not with_seat(department, run):
        raise Invalid(field="kid", detail="没有在用的该证书", detail_en="no such certificate is in force")


app.command()(acts)


@app.command()
def queue(key: KeyFile, certificate: CertificateFile, passphrase: Passphrase) -> None:
    """待办件 · cases that wait for an officer."""
    rows = _at_desk(key, certificate, passphrase, lambda client, _view: client.queue())
    table = Table("办件 case", "场景 scenario", "拟办 proposed", "依据 rows", "状态 state", "进入待办 since")
    for row in rows:
        table.add_row(
            row["case"], row["scenario"], row["proposed"], ", ".join(row["rows"]), _state(row), row["since"][:16]
        )
    Console().print(table)


def _state(row: dict[str, Any]) -> str:
    """What a case of the queue waits for."""
    if row["awaits"] is not None:
        return "待复核 awaits countersign\n{officer}: {outcome}".format_map(row["awaits"])
    if row["sent_back"] is not None:
        return "复核退回 sent back\n{officer}: {reason}".format_map(row["sent_back"])
    return "待决定 to be decided"


@app.command()
def show(case: str, key: KeyFile, certificate: CertificateFile, passphrase: Passphrase) -> None:
    """打开案卷(查看留痕) · open a dossier; the look is written down."""
    found = _at_desk(key, certificate, passphrase, lambda client, _view: client.look(case))
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

    async def run(client: OfficerClient, _view: LedgerView) -> dict[str, Any]:
        item = await _waiting(client, case)
        return await client.decide(item, cast(Outcome, outcome), reason, materials_wanted=material or ())

    done = _at_desk(key, certificate, passphrase, run)
    typer.echo(json.dumps(done, ensure_ascii=False))
    if done["awaits_countersign"]:
        typer.echo("须由另一名经办人复核:lianban officer countersign · another officer has to countersign it")


@app.command()
def countersign(
    case: str,
    reason: str,
    key: KeyFile,
    certificate: CertificateFile,
    passphrase: Passphrase,
    send_back: Annotated[bool, typer.Option("--send-back", help="不同意,退回重办 · send it back instead")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="已读过,不再询问 · read already, do not ask")] = False,
) -> None:
    """复核另一名经办人的决定:先显示决定,确认后签名,或退回 · countersign another officer's decision, or send it back."""

    async def run(client: OfficerClient, _view: LedgerView) -> dict[str, Any]:
        item = await _waiting(client, case)
        if item["awaits"] is None:
            raise Invalid(
                field="case",
                detail="该办件没有待复核的决定",
                detail_en="no decision on this case waits for a second officer",
            )
        # What is shown is read from the very document whose hash is signed.
        said, shown = peek_jws(item["awaits"]["decision"])[1], Console(highlight=False)
        for zh, en, value in (
            ("决定", "decision", " ".join(VOCABULARY["outcome", said["outcome"]])),
            ("依据", "rows", ", ".join(said["rows"])),
            ("理由", "reason", said["reason"]),
            ("补正", "wanted", ", ".join(item["awaits"]["materials_wanted"])),
            ("经办", "officer", item["awaits"]["officer"]),
        ):
            shown.print(f"{zh} {en}  {escape(value)}")
        question = "退回重办?/ send it back?" if send_back else "同意并签名?/ countersign it?"
        if not yes and not typer.confirm(question):
            raise typer.Exit(1)
        return await client.countersign(item, "send-back" if send_back else "countersign", reason)

    typer.echo(json.dumps(_at_desk(key, certificate, passphrase, run), ensure_ascii=False))


async def _waiting(client: OfficerClient, case: str) -> dict[str, Any]:
    """The case's line in the queue. Raises Invalid."""
    for item in await client.queue():
        if item["case"] == case:
            return item
    raise Invalid(field="case", detail="该办件不在待办中", detail_en="this case does not wait for an officer")


@app.command()
def revoke(case: str, reason: str, key: KeyFile, certificate: CertificateFile, passphrase: Passphrase) -> None:
    """撤销已准予或效力中止的办件 · order the revocation of an approval, suspended or not."""
    _say(_at_desk(key, certificate, passphrase, lambda client, _view: client.revoke(case, reason)))


@app.command()
def reviews(key: KeyFile, certificate: CertificateFile, passphrase: Passphrase) -> None:
    """待复核:所依据的应答被召回的决定 · decisions that rest on an answer which its department took back."""
    rows = _at_desk(key, certificate, passphrase, lambda client, _view: client.reviews())
    table = Table(
        "办件 case", "状态 status", "召回席位 recalled by", "原因 reason", "待第二人 awaits a second", "自 since"
    )
    for row in rows:
        awaits = "{officer}: {act}".format_map(row["awaits"]) if row["awaits"] else ""
        status = Status(row["status"]).name.lower()
        table.add_row(row["case"], status, row["seat"], row["reason"], awaits, row["since"][:16])
    Console().print(table)


@app.command()
def uphold(case: str, reason: str, key: KeyFile, certificate: CertificateFile, passphrase: Passphrase) -> None:
    """复核后维持原决定,写明理由;效力中止的随之恢复 · let a decision stand after a recall; a suspended one counts again."""
    _say(_at_desk(key, certificate, passphrase, lambda client, _view: client.uphold(case, reason)))


def _say(done: dict[str, Any]) -> None:
    """What came of it, and that a second officer has to do the same where the scenario wants two."""
    typer.echo(json.dumps(done, ensure_ascii=False))
    if done["awaits_second"]:
        typer.echo("须由另一名经办人同样办理 · another officer has to do the same")


@app.command("replay")
def replay_case(case: str, key: KeyFile, certificate: CertificateFile, passphrase: Passphrase) -> None:
    """按原案卷再次评判(查看留痕) · have a case decided once more from its own dossier; the look is written down."""
    show_replay(_at_desk(key, certificate, passphrase, lambda client, _view: client.replay(case)))


@app.command()
def corrections(key: KeyFile, certificate: CertificateFile, passphrase: Passphrase) -> None:
    """异议:申请人认为本部门应答有误的,须在期限内答复 · what applicants contest of this department's answers."""
    rows = _at_desk(key, certificate, passphrase, lambda client, _view: client.corrections())
    table = Table("异议 contest", "核验项 item", "内容 claims", "答复期限 reply by")
    for row in rows:
        late = " [red]已逾期 overdue[/]" if row["overdue"] else ""
        table.add_row(row["contest"], row["item"], ", ".join(row["claims"]), row["reply_by"] + late)
    Console().print(table)


@app.command()
def correction(
    contest: str,
    key: KeyFile,
    certificate: CertificateFile,
    passphrase: Passphrase,
    folder: Annotated[
        Path | None, typer.Option("--attachments", file_okay=False, help="附件存放处 · where attachments go")
    ] = None,
) -> None:
    """打开一项异议(查看留痕):理由、对象、所作应答 · open a contest; the look is written down."""
    found = _at_desk(key, certificate, passphrase, lambda client, _view: client.correction(contest))
    for number, each in enumerate(found["attachments"], 1):
        content = unb64(each.pop("content"))
        if folder is not None:
            path = folder / f"{number}-{UNSAFE.sub('_', each['filename'])[-80:]}"
            folder.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            each["file"] = str(path)
    typer.echo(json.dumps(found, ensure_ascii=False, indent=2))


@app.command()
def correct(contest: str, reason: str, key: KeyFile, certificate: CertificateFile, passphrase: Passphrase) -> None:
    """异议成立:先在本部门系统中更正记录,再执行;旧应答随即召回 · upheld: correct the record first; recalls the answers."""
    _reply(contest, "corrected", reason, key, certificate, passphrase)


@app.command()
def reject(contest: str, reason: str, key: KeyFile, certificate: CertificateFile, passphrase: Passphrase) -> None:
    """异议不成立:记录无误,写明理由,申请人和审批部门可阅 · rejected: the record is right, with the reason."""
    _reply(contest, "rejected", reason, key, certificate, passphrase)


def _reply(
    contest: str, outcome: CorrectionOutcome, reason: str, key: Path, certificate: Path, passphrase: str
) -> None:
    done = _at_desk(key, certificate, passphrase, lambda client, _view: client.reply(contest, outcome, reason))
    typer.echo(json.dumps(done, ensure_ascii=False))


@app.command()
def proposals(key: KeyFile, certificate: CertificateFile, passphrase: Passphrase) -> None:
    """待签:需经办人同意后席位才签署的场景与落地 · what waits for an officer before the seat signs."""
    rows = _at_desk(key, certificate, passphrase, lambda client, _view: client.proposals())
    table = Table("编号 id", "种类 kind", "场景 scenario", "地区 region", "提请席位 asked by", "自 since")
    for row in rows:
        zh, en = KINDS[row["kind"]]
        region = row["seats"]["region"] if row["seats"] else ""
        table.add_row(row["hash"], f"{zh} {en}", row["scenario"], region, str(row["asker"]), row["since"][:16])
    Console().print(table)


@app.command()
def proposal(
    id: Annotated[str, typer.Argument(help="编号或其开头 · id, or how it begins")],
    key: KeyFile,
    certificate: CertificateFile,
    passphrase: Passphrase,
    against: Annotated[
        str | None,
        typer.Option(help="与这个版本比较,默认为上次签署的 · compare with this version, not the last signed"),
    ] = None,
) -> None:
    """阅读待签内容与上次签署版本的差别 · read what changes against what was signed before."""

    async def run(client: OfficerClient, view: LedgerView) -> None:
        await _read(client, view, await _full(client, id), against)

    _at_desk(key, certificate, passphrase, run)


@app.command()
def approve(
    id: Annotated[str, typer.Argument(help="编号或其开头 · id, or how it begins")],
    reason: str,
    key: KeyFile,
    certificate: CertificateFile,
    passphrase: Passphrase,
    yes: Annotated[bool, typer.Option("--yes", help="已读过,不再询问 · read already, do not ask")] = False,
) -> None:
    """同意签署:先显示差别,确认后以经办人密钥签名 · approve: shows the difference, asks, signs with the officer's key."""
    _decide(id, "approve", reason, key, certificate, passphrase, ask=not yes)


@app.command()
def decline(
    id: Annotated[str, typer.Argument(help="编号或其开头 · id, or how it begins")],
    reason: str,
    key: KeyFile,
    certificate: CertificateFile,
    passphrase: Passphrase,
) -> None:
    """不同意签署,写明理由 · decline, with a reason that whoever asked is told."""
    _decide(id, "decline", reason, key, certificate, passphrase, ask=False)


def _decide(
    id: str,
    outcome: Literal["approve", "decline"],
    reason: str,
    key: Path,
    certificate: Path,
    passphrase: str,
    *,
    ask: bool,
) -> None:
    async def run(client: OfficerClient, view: LedgerView) -> None:
        wanted = await _full(client, id)
        await _read(client, view, wanted, None)
        if ask and not typer.confirm("同意签署以上内容?/ approve what is shown above?"):
            raise typer.Exit(1)
        done = await client.decide_proposal(wanted, outcome, reason)
        typer.echo(f"✓ {done['outcome']} {done['proposal']}")

    _at_desk(key, certificate, passphrase, run)


async def _full(client: OfficerClient, id: str) -> str:
    """The whole id of what waits; one that is given whole may have been decided before. Raises Invalid."""
    if len(id) == 66:
        return id
    found = [row["hash"] for row in await client.proposals() if row["hash"].startswith(id)]
    if len(found) != 1:
        raise Invalid(
            field="id",
            detail="没有或不止一个待签编号以此开头",
            detail_en="no proposal that waits, or more than one, begins like this",
            remedy="lianban officer proposals",
        )
    return str(found[0])


async def _read(client: OfficerClient, view: LedgerView, id: str, against: str | None) -> None:
    """Prints a proposal in words, from documents that were hashed here."""
    reading = Reading.of(await client.proposal(id, against=against), id, client.seat, view)
    asked, console = reading.proposal, Console(highlight=False)
    zh, en = KINDS[asked.kind]
    name = reading.scenario.name if reading.scenario else None
    called = f"{name.zh} · {name.en}" if name else asked.scenario
    console.print(f"[bold]{zh} · {en}[/]  {escape(called)}")
    console.print(f"编号 id       {id}", soft_wrap=True)
    console.print(f"版本 version  {asked.version}", soft_wrap=True)
    console.print(f"文本 texts    {asked.texts}", soft_wrap=True)
    if asked.binding is not None:
        console.print(f"终止落地 {asked.binding} 的新办件,在办件照常 · ends binding {asked.binding} for new cases")
    elif reading.before is None:
        console.print("本席位首次签署,以下为全部内容 · the first of its kind for this seat: all of it follows")
    else:
        last = "指定的版本 · the version asked for" if reading.signed is None else "上次签署 · signed before"
        console.print(f"对比 against  {reading.before.version} ({last})", soft_wrap=True)
    names = {each.number: Words(each.keyset.name["zh"], each.keyset.name["en"]) for each in await view.seats()}
    adapters = sorted(load_settings().adapters_dir.glob("*.yaml"))
    changes = reading.changes(names, load_catalogue(*adapters))
    if not changes and asked.binding is None:
        console.print("没有差别 · no difference")
    show_changes(console, changes)
    for said in reading.decisions:
        console.print(f"\n{said['at'][:16]} {said['officer'][:12]} {said['outcome']}:{escape(said['reason'])}")


def with_seat(department: str, action: Any) -> Any:
    """What `action(seat)` gives, in the place of the department's gateway: with its keys and its store."""
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
        held = SigningKey.from_pem(key.read_bytes(), passphrase)
    except (OSError, ValueError):
        raise Invalid(
            field="key", detail="私钥无法打开", detail_en="the key does not open", remedy="核对文件与口令"
        ) from None
    except Invalid:
        raise Invalid(field="key", detail="不是经办人私钥", detail_en="this is no officer's key") from None
    token = certificate.read_text().strip()
    number = seat_number(peek_jws(token)[1].get("iss"))

    async def run() -> Any:
        async with (
            Rpc(settings.require_node_url(), timeout=settings.rpc_timeout) as rpc,
            httpx.AsyncClient(timeout=settings.gateway_timeout, trust_env=False) as http,
        ):
            view = LedgerView(rpc, require_deployment(settings.deployment_file))
            seat = await view.seat(number)
            client = OfficerClient(http, endpoint=seat.keyset.endpoint, seat=number, key=held, certificate=token)
            return await action(client, view)

    return asyncio.run(run())
