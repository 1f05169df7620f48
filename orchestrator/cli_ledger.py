"""`lianban ledger`: what the chain proves, for anybody with a node and the contracts' addresses; no account, no portal.

Witnesses come from the chain's events, from a dossier file or from a gateway's public log; what counts is the ledger's own
answer about them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from orchestrator.domain.canonical import from_hex, to_hex
from orchestrator.domain.case import Status
from orchestrator.domain.errors import Invalid, Refused
from orchestrator.domain.merkle import Leaf
from orchestrator.domain.suite import hash_of
from orchestrator.ledger.accounts import chain_account
from orchestrator.ledger.deployments import require_deployment
from orchestrator.ledger.poster import HeadPart
from orchestrator.ledger.proofs import History, Proofs, head_call
from orchestrator.ledger.publiclog import PublicLog
from orchestrator.ledger.rpc import Rpc
from orchestrator.ledger.sender import Sender
from orchestrator.ledger.transactions import fund
from orchestrator.ledger.view import LedgerView, open_view
from orchestrator.protocol.loghead import SignedHead
from orchestrator.protocol.querylog import EMPTY_ROOT, Head, leaf_hash
from orchestrator.settings import Settings, load_settings

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    help="链上核验 · what the chain proves",
)

STATUS_WORDS = {
    Status.ACCEPTED: "已受理 accepted",
    Status.RETURNED: "已退回 returned",
    Status.APPROVED: "已批准 approved",
    Status.REFUSED: "不予批准 refused",
    Status.WITHDRAWN: "已撤回 withdrawn",
    Status.REVOKED: "已撤销 revoked",
    Status.SUSPENDED: "效力中止 suspended",
}
BEIJING = ZoneInfo("Asia/Shanghai")
Payer = Callable[[], Sender]
"""Opens the account that pays for a transaction: looking needs none."""

Case = Annotated[str, typer.Argument(help="办件编号 0x… · the case's id")]
Seat = Annotated[int, typer.Argument(min=0, max=255, help="席位号 · seat number")]
NodeUrl = Annotated[str | None, typer.Option("--node", help="节点,默认 LIANBAN_NODE_URL · a node of the chain")]
DeploymentFile = Annotated[
    Path | None,
    typer.Option("--deployment", dir_okay=False, help="合约地址文件 · the file with the contracts' addresses"),
]
Gateway = Annotated[str | None, typer.Option("--gateway", help="默认按链上密钥文档 · default: as its keyset says")]


@app.command("case")
def case_(case: Case, node: NodeUrl = None, deployment: DeploymentFile = None) -> None:
    """办件的状态与全部经过,及各席位当日密钥的签署 · a case's status and history, and who signed by the key of the day."""

    async def look(view: LedgerView, proofs: Proofs, _: Payer) -> None:
        history = await proofs.history(_case_id(case))
        for one in history.transitions:
            moment = datetime.fromtimestamp(one.at, BEIJING).strftime("%Y-%m-%d %H:%M:%S")
            typer.echo(f"{one.sequence}. {STATUS_WORDS[one.status]}  {moment}  区块 block {one.block}")
            typer.echo(f"   案卷 dossier {one.root}  落地 binding {one.binding}  交易 transaction {one.transaction}")
            if one.sheets is None:
                typer.echo("   由其他合约转交,签批单不在其中 · sent through another contract: its sheets are not here")
            for sheet in one.sheets or ():
                keyset = (await view.seat(sheet.seat)).keyset
                mark = "✓ 当日密钥签署 signed by the key of that block" if sheet.counted else "· 未计入 not counted"
                typer.echo(f"   {mark}:席位 seat {sheet.seat} {keyset.name['zh']}")
        _complete(history)
        typer.echo("✓ 合约确认:以上即全部经过 · the ledger confirms that this is all")

    _run(look, node, deployment)


@app.command()
def dossier(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="案卷文件 · from /cases/{id}/dossier")],
    document: Annotated[
        Path | None,
        typer.Option(
            "--document", exists=True, dir_okay=False, help="只核对这份文件 · only the entry of this document"
        ),
    ] = None,
    node: NodeUrl = None,
    deployment: DeploymentFile = None,
) -> None:
    """授权书、应答、意见、证照等是否在案卷中 · whether mandates, answers, verdicts, a credential are in a case's dossier."""
    case, leaves = _read_dossier(file)
    if document is not None:
        content = hash_of(document.read_bytes().strip())
        leaves = [each for each in leaves if each[0].content == content]
        if not leaves:
            raise Refused(
                "案卷文件中没有这份文件",
                detail_en="the dossier file has no entry for this document",
                code="not-in-dossier",
                remedy="文件须与签署时一字不差 / the document must be what was signed, byte for byte",
            )

    async def look(_: LedgerView, proofs: Proofs, __: Payer) -> None:
        history = await proofs.history(case)
        _complete(history)
        last = len(history.transitions) - 1
        held = await proofs.in_dossier(history, last, leaves)
        for (leaf, _path), good in zip(leaves, held, strict=True):
            typer.echo(f"{'✓' if good else '✗'} {leaf.kind:<12} {to_hex(leaf.content)}")
        if not all(held):
            raise Refused(
                f"{held.count(False)} 项不在案卷中",
                detail_en=f"{held.count(False)} entries are not in the case's dossier",
                code="not-in-dossier",
                remedy="案卷文件可能被改动或属于旧的一步 / the file was changed, or is of an earlier step",
            )
        typer.echo(
            f"✓ 合约确认:{len(held)} 项均在案卷中 · the ledger confirms all of them: {STATUS_WORDS[history.transitions[last].status]}"
        )

    _run(look, node, deployment)


@app.command()
def entry(
    seat: Seat,
    index: Annotated[int, typer.Argument(min=0, help="日志中的位置,从 0 起 · place in the log, from 0")],
    gateway: Gateway = None,
    node: NodeUrl = None,
    deployment: DeploymentFile = None,
) -> None:
    """查询日志的一条是否在已锚定的日志头之下 · whether a query-log entry is under the anchored head."""

    async def look(view: LedgerView, proofs: Proofs, _: Payer) -> None:
        head = await _anchored(proofs, seat)
        url = gateway or (await view.seat(seat)).keyset.endpoint
        async with PublicLog(url) as log:
            text, path = await log.inclusion(index, head.size)
        if not await proofs.in_log(head, index, leaf_hash(text.encode()), path):
            raise Refused(
                f"第 {index} 条不在已锚定的日志中",
                detail_en=f"entry {index}, as the gateway gives it, is not under the anchored head",
                code="not-in-log",
                remedy="留存此结果:该部门改过日志或给错了证明 / keep this: the department changed its log, or lies about it",
            )
        typer.echo(text)
        typer.echo(f"✓ 合约确认:在 {head.size} 条的已锚定日志之中 · the ledger confirms it under the anchored head")

    _run(look, node, deployment)


@app.command()
def head(
    seat: Seat,
    gateway: Gateway = None,
    anchor: Annotated[bool, typer.Option("--anchor", help="并锚定新的日志头 · anchor the new head too")] = False,
    node: NodeUrl = None,
    deployment: DeploymentFile = None,
) -> None:
    """部门现在的日志头是否延续已锚定的;任何人都可代为锚定 · whether a seat's log extends what is anchored; anybody may anchor it."""

    async def look(view: LedgerView, proofs: Proofs, payer: Payer) -> None:
        url = gateway or (await view.seat(seat)).keyset.endpoint
        async with PublicLog(url) as log:
            now = SignedHead.parse(await log.head())
        new = Head(seat=seat, size=now.size, root=from_hex(now.root))
        old = await proofs.anchored(seat) or Head(seat=seat, size=0, root=EMPTY_ROOT)
        typer.echo(f"已锚定 anchored  {old.size}  {to_hex(old.root)}")
        typer.echo(f"部门现状 present {new.size}  {to_hex(new.root)}")
        if new == old:
            typer.echo("✓ 相同 · the same")
            return
        if new.size < old.size:
            raise _rewritten("日志变短了", "the log has shrunk")
        proof: list[bytes] = []
        if 0 < old.size < new.size:
            async with PublicLog(url) as log:
                proof = await log.consistency(old.size, new.size)
        if not await proofs.extends(old, new, proof):
            raise _rewritten("现日志不延续已锚定的日志", "the log does not extend the anchored one")
        typer.echo("✓ 合约确认:前者延续为后者 · the ledger confirms that the one extends the other")
        if anchor:
            part = HeadPart(
                seat=seat,
                old_size=old.size,
                old_root=old.root,
                new_size=new.size,
                new_root=new.root,
                proof=tuple(proof),
                signature=from_hex(now.signature, 65),
            )
            transaction = await payer().send("CaseLedger", "settle", *head_call(part))
            if await proofs.anchored(seat) != new:
                raise Refused(
                    "合约没有锚定它",
                    detail_en=f"the ledger did not anchor it: see transaction {transaction}",
                    code="not-anchored",
                    remedy="可能已有更新的日志头被锚定,再运行一次 / a newer one may be anchored already: run this again",
                )
            typer.echo(f"✓ 已锚定 · anchored  {transaction}")

    _run(look, node, deployment)


@app.command("seat")
def seat_(
    seat: Seat,
    block: Annotated[int | None, typer.Option(min=0, help="区块,默认最新 · a block; default: the newest")] = None,
    node: NodeUrl = None,
    deployment: DeploymentFile = None,
) -> None:
    """席位在某区块的密钥与状态 · a seat's keys and standing at a block."""

    async def look(_: LedgerView, proofs: Proofs, __: Payer) -> None:
        there = await proofs.seat_at(seat, block)
        typer.echo(f"区块 block {there.block}  席位 seat {seat}  {there.standing}")
        typer.echo(f"  链上密钥 chain key  {there.signer}")
        typer.echo(f"  密钥文档 keyset     {there.keyset_hash}")

    _run(look, node, deployment)


def _run(action: Callable[[LedgerView, Proofs, Payer], Awaitable[None]], node: str | None, file: Path | None) -> None:
    async def opened() -> None:
        settings = load_settings()
        url = node or settings.require_node_url()
        deployment = require_deployment(file or settings.deployment_file)
        async with Rpc(url, timeout=settings.rpc_timeout) as rpc:
            view = await open_view(rpc, deployment)
            await action(view, Proofs(rpc, view), lambda: _payer(settings, rpc, view, url))

    asyncio.run(opened())


def _payer(settings: Settings, rpc: Rpc, view: LedgerView, url: str) -> Sender:
    """This installation's account that carries what others signed."""
    account = chain_account(settings.keys_dir / "publisher", settings.passphrase())
    fund(url, account.address, timeout=settings.rpc_timeout)
    return Sender(rpc, view, account)


async def _anchored(proofs: Proofs, seat: int) -> Head:
    found = await proofs.anchored(seat)
    if found is None:
        raise Refused(
            f"席位 {seat} 还没有锚定的日志头",
            detail_en=f"no head of seat {seat} is anchored yet",
            code="nothing-anchored",
            remedy=f"lianban ledger head {seat} --anchor",
        )
    return found


def _case_id(text: str) -> str:
    try:
        return to_hex(from_hex(text, 32))
    except (Invalid, ValueError):
        raise Invalid(
            field="case",
            detail="不是办件编号",
            detail_en="that is no case id",
            remedy="0x 后接 64 位十六进制数 / 0x and 64 hexadecimal digits",
        ) from None


def _read_dossier(file: Path) -> tuple[str, list[tuple[Leaf, list[bytes]]]]:
    """Case id and leaves with their paths. Raises Invalid when the file is none."""
    try:
        content = json.loads(file.read_text("utf-8"))
        leaves = [
            (
                Leaf(kind=each["value"][0], salt=from_hex(each["value"][1]), content=from_hex(each["value"][2])),
                [from_hex(node) for node in each["proof"]],
            )
            for each in content["leaves"]
        ]
        return _case_id(content["case"]), leaves
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, Invalid):
        raise Invalid(
            field=file.name,
            detail="不是案卷文件",
            detail_en="that is no dossier file",
            remedy="取自 GET /api/v1/cases/{id}/dossier / fetch it from there",
        ) from None


def _complete(history: History) -> None:
    if not history.complete:
        raise Refused(
            "节点给出的事件与合约状态不符",
            detail_en="the node's events are not all of the case's transitions",
            code="bad-node",
            remedy="换一个节点 / use another node",
        )


def _rewritten(words: str, words_en: str) -> Refused:
    return Refused(
        f"{words}:该部门改写了查询日志",
        detail_en=f"{words_en}: the department has rewritten its query log",
        code="log-rewritten",
        remedy="留存两个日志头并报告理事会 / keep both heads and tell the council",
    )
