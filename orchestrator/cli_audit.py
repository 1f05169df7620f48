"""`lianban audit`: a department's query log followed from head to head by anybody with a node; evidence of a lie checked by others."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

import orjson
import typer

from orchestrator.audit import evidence as files
from orchestrator.audit.follow import MAXIMAL_DELAY, Followed, Given, follow
from orchestrator.audit.memory import Memory
from orchestrator.audit.promises import kept_promises, read_promises
from orchestrator.audit.statements import Promise, Word
from orchestrator.database import open_pool, with_database
from orchestrator.ledger.deployments import require_deployment
from orchestrator.ledger.heads import LedgerHeads
from orchestrator.ledger.publiclog import PublicLog
from orchestrator.ledger.rpc import Rpc
from orchestrator.ledger.view import LedgerView, open_view
from orchestrator.protocol.loghead import SignedHead
from orchestrator.protocol.ports import SeatView
from orchestrator.settings import Settings, load_settings
from orchestrator.verify.report import Mark, Report

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    help="审计查询日志 · audit departments' query logs",
)

EXIT = {Mark.PROVEN: 0, Mark.WRONG: 1, Mark.UNCHECKED: 3}
"""0: in order; 1: a lie, or something that is not as it must be; 3: not everything could be checked. 2: wrong input."""

NodeUrl = Annotated[str | None, typer.Option("--node", help="节点,默认 LIANBAN_NODE_URL · a node of the chain")]
DeploymentFile = Annotated[
    Path | None,
    typer.Option("--deployment", dir_okay=False, help="合约地址文件 · the file with the contracts' addresses"),
]
Json = Annotated[bool, typer.Option("--json", help="给程序 · for programs")]


@app.command()
def log(
    department: Annotated[str, typer.Option("--department", help="部门 id · the department's id")],
    gateway: Annotated[
        str | None, typer.Option("--gateway", help="网关地址,默认按链上密钥文档 · default: as its keyset says")
    ] = None,
    promise: Annotated[
        list[Path] | None,
        typer.Option(
            "--promise",
            exists=True,
            dir_okay=False,
            help="应答文件:所载须在日志之中,可多次 · answers that must be in the log, repeatable",
        ),
    ] = None,
    store: Annotated[
        bool,
        typer.Option("--store", help="经办:一并核对自己所存的应答 · an operator: the answers in its own store too"),
    ] = False,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--folder", file_okay=False, help="审计记录与证据,默认数据目录的 audit · what is remembered, and evidence"
        ),
    ] = None,
    within: Annotated[
        int, typer.Option("--within", min=0, help="承诺须在多少秒内锚定 · seconds in which a promise must be anchored")
    ] = MAXIMAL_DELAY,
    node: NodeUrl = None,
    deployment: DeploymentFile = None,
    json: Json = False,
) -> None:
    """逐个日志头核对部门的查询日志:改写、变短、分叉、承诺未兑现 · follows a log: rewrite, shrink, fork, promise not kept."""
    settings = load_settings()
    kept_in = (folder or settings.data_dir / "audit") / department
    memory_file = kept_in / "memory.json"

    async def audited() -> tuple[Followed, list[Path]]:
        async with AsyncExitStack() as stack:
            view, rpc = await _opened(stack, settings, node, deployment)
            seat = await view.seat_by_id(department)
            memory = Memory.read(memory_file, view.domain("CaseLedger"), seat.number)
            word = await _word(rpc, view, seat)
            promises = [each for file in promise or () for each in read_promises(file, seat)]
            heads: list[SignedHead] = []
            if store:
                more, heads = await _stored(settings, seat, memory)
                promises += more
            log = await stack.enter_async_context(PublicLog(gateway or seat.keyset.endpoint))
            done = await follow(
                Given(
                    word=word,
                    log=log,
                    now=int(time.time()),
                    within=within,
                    memory=memory,
                    promises=promises,
                    heads=heads,
                )
            )
            if done.memory is not None:
                done.memory.keep(memory_file)
            return done, [lie.keep(kept_in, word) for lie in done.lies]

    done, kept = asyncio.run(audited())
    earlier = sorted({*kept_in.glob("*.json")} - {memory_file, *kept})
    if json:
        lies = [
            {"kind": str(lie.kind), "zh": lie.zh, "en": lie.en, "proven": lie.proven, "evidence": str(file)}
            for lie, file in zip(done.lies, kept, strict=True)
        ]
        figures = {"size": done.size, "read": done.read, "promises_kept": done.kept}
        also = {"lies": lies, "earlier_evidence": [str(file) for file in earlier]}
        typer.echo(orjson.dumps(done.report.document() | figures | also, option=orjson.OPT_INDENT_2).decode())
    else:
        _told(done.report)
        for file in kept:
            typer.echo(f"证据 evidence  {file}")
        for file in earlier:
            typer.echo(f"· 以前的证据 evidence of an earlier run  {file}")
    raise typer.Exit(EXIT[done.report.conclusion])


@app.command()
def evidence(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="证据文件 · a file of evidence")],
    node: NodeUrl = None,
    deployment: DeploymentFile = None,
    json: Json = False,
) -> None:
    """证据是否属实:第三方凭一个节点即可核对 · whether evidence holds, for a third party with a node."""
    content = files.read_file(file)

    async def checked() -> Report:
        async with AsyncExitStack() as stack:
            view, rpc = await _opened(stack, load_settings(), node, deployment)
            return files.check(content, await _word(rpc, view, await view.seat(content["seat"])))

    report = asyncio.run(checked())
    if json:
        typer.echo(orjson.dumps(report.document(), option=orjson.OPT_INDENT_2).decode())
    else:
        _told(report)
    raise typer.Exit(EXIT[report.conclusion])


def _told(report: Report) -> None:
    for line in report.lines():
        typer.echo(line)


async def _word(rpc: Rpc, view: LedgerView, seat: SeatView) -> Word:
    chain = await LedgerHeads(rpc, view).read(seat.number)
    return Word(seat=seat, ledger=view.domain("CaseLedger"), chain=chain)


async def _stored(settings: Settings, seat: SeatView, memory: Memory | None) -> tuple[list[Promise], list[SignedHead]]:
    """What the operator's own store has of a seat since the log was last found in order."""
    from orchestrator.runtime import DATABASE  # all of the orchestrator: for nobody else

    size, at = (memory.newest.head.size, memory.newest.at) if memory else (0, 0)
    async with open_pool(with_database(settings.require_database_url(), DATABASE), size=1) as pool:
        return await kept_promises(pool, seat, size=size, at=at)


async def _opened(
    stack: AsyncExitStack, settings: Settings, node: str | None, file: Path | None
) -> tuple[LedgerView, Rpc]:
    deployment = require_deployment(file or settings.deployment_file)
    rpc = await stack.enter_async_context(Rpc(node or settings.require_node_url(), timeout=settings.rpc_timeout))
    return await open_view(rpc, deployment, watches=False), rpc
