"""`lianban verify`: whether a credential, a case's receipt or an answer holds, what it proves and what not. No account needed."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from itertools import chain
from pathlib import Path
from typing import Annotated

import orjson
import typer

from orchestrator.domain.errors import Invalid, Unavailable
from orchestrator.domain.scenario import Scenario
from orchestrator.ledger.deployments import require_deployment
from orchestrator.ledger.proofs import Proofs
from orchestrator.ledger.publiclog import PublicLog
from orchestrator.ledger.rpc import Rpc
from orchestrator.ledger.view import LedgerView, open_view
from orchestrator.protocol.answer import AnswerEnvelope
from orchestrator.protocol.credential import Presentation
from orchestrator.protocol.ports import SeatView
from orchestrator.protocol.querylog import Head
from orchestrator.scenarios import load_catalogue, scenario_files, shipped
from orchestrator.settings import load_settings
from orchestrator.verify.answers import check_answer
from orchestrator.verify.credentials import Reader, check_credential
from orchestrator.verify.looks import Looks, check_looks
from orchestrator.verify.papers import Paper, Receipt, SignedVerdict, read_paper
from orchestrator.verify.receipts import check_receipt
from orchestrator.verify.report import Mark, Report
from orchestrator.verify.trust import KeptKeys, Trust
from orchestrator.verify.types import shipped_types, vct_of
from orchestrator.verify.verdicts import check_verdict
from orchestrator.verify.withdrawals import Withdrawal, check_withdrawal

app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)

EXIT = {Mark.PROVEN: 0, Mark.WRONG: 1, Mark.UNCHECKED: 3}
"""0: it holds; 1: do not rely on it; 3: not everything could be checked. 2 is for what cannot be read."""

File = Annotated[
    Path | None,
    typer.Argument(
        exists=True,
        dir_okay=False,
        help="证照(.sd-jwt、PDF)、办件回执、核验应答、谁查过我的数据、撤回的送达回执 · a credential, a receipt, an answer, "
        "who looked at my data, acknowledgements of a withdrawal",
    ),
]
NodeUrl = Annotated[str | None, typer.Option("--node", help="节点,默认 LIANBAN_NODE_URL · a node of the chain")]
DeploymentFile = Annotated[
    Path | None,
    typer.Option("--deployment", dir_okay=False, help="合约地址文件 · the file with the contracts' addresses"),
]
KeysFile = Annotated[
    Path | None,
    typer.Option(
        "--keys", exists=True, dir_okay=False, help="离线:以前保存的席位公钥 · offline: seats' keys kept before"
    ),
]
SaveKeys = Annotated[
    Path | None,
    typer.Option("--save-keys", dir_okay=False, help="保存席位公钥,供离线查验 · keeps the seats' keys for offline use"),
]
ReceiptFile = Annotated[
    Path | None,
    typer.Option("--receipt", exists=True, dir_okay=False, help="办件回执或案卷:证明文件在其中 · receipt or dossier"),
]
TypeFile = Annotated[
    Path | None,
    typer.Option("--type", exists=True, dir_okay=False, help="证照类型说明 · the credential's type metadata"),
]
Audience = Annotated[str | None, typer.Option("--audience", help="应出示给谁 · to whom it must have been shown")]
Nonce = Annotated[str | None, typer.Option("--nonce", help="您给的随机数 · the nonce that you gave")]
Offline = Annotated[bool, typer.Option("--offline", help="不连节点 · asks no node")]
Json = Annotated[bool, typer.Option("--json", help="给程序 · for programs")]


@app.command()
def verify(
    file: File = None,
    node: NodeUrl = None,
    deployment: DeploymentFile = None,
    keys: KeysFile = None,
    save_keys: SaveKeys = None,
    receipt: ReceiptFile = None,
    type_: TypeFile = None,
    audience: Audience = None,
    nonce: Nonce = None,
    offline: Offline = False,
    json: Json = False,
) -> None:
    """查验证照、办件回执、核验应答:证明了什么,没有证明什么 · what a credential, receipt or answer proves, and what not."""
    if file is None and save_keys is None:
        raise Invalid(field="FILE", detail="缺少要查验的文件", detail_en="which file?", remedy="lianban verify --help")
    paper = read_paper(file) if file else None
    held = read_paper(receipt) if receipt else None
    if held is not None and not isinstance(held, Receipt):
        raise Invalid(field="--receipt", detail="不是办件回执或案卷", detail_en="that is no receipt or dossier")
    kept = KeptKeys.read(keys) if keys else None
    types = [type_.read_bytes()] if type_ else []

    async def checked() -> Report | None:
        async with AsyncExitStack() as stack:
            view, rpc = (
                (None, None) if offline else await _opened(stack, node, deployment, needed=save_keys is not None)
            )
            if save_keys is not None and view is not None:
                made = KeptKeys.of(view.domain("CaseLedger"), int(time.time()), await view.seats())
                save_keys.write_bytes(made.document())
                typer.echo(
                    f"✓ 已保存 {len(made.seats)} 个席位的公钥 · kept the keys of the seats  {save_keys}", err=json
                )
            proofs = Proofs(rpc, view) if view is not None and rpc is not None else None
            trust = Trust(now=int(time.time()), chain=view, proofs=proofs, kept=kept)
            return await _check(paper, trust, Reader(audience=audience, nonce=nonce), types, held) if paper else None

    report = asyncio.run(checked())
    if report is None:
        return
    if json:
        typer.echo(orjson.dumps(report.document(), option=orjson.OPT_INDENT_2).decode())
    else:
        for line in report.lines():
            typer.echo(line)
    raise typer.Exit(EXIT[report.conclusion])


async def _check(paper: Paper, trust: Trust, reader: Reader, types: list[bytes], receipt: Receipt | None) -> Report:
    if isinstance(paper, Presentation):
        known = chain(types, shipped_types(vct_of(paper)))
        return await check_credential(paper, trust, reader=reader, types=known, receipt=receipt)
    if isinstance(paper, AnswerEnvelope):
        return await check_answer(paper, trust, path=_log_path, receipt=receipt)
    if isinstance(paper, Looks):
        return await check_looks(paper, trust, path=_log_path)
    if isinstance(paper, Withdrawal):
        return await check_withdrawal(paper, trust, path=_log_path)
    if isinstance(paper, SignedVerdict):
        return await check_verdict(paper, trust, definitions=_shipped, receipt=receipt)
    return await check_receipt(paper, trust)


def _shipped(version: str) -> Scenario | None:
    """The scenario of a version, if it is one that ships."""
    catalogue = load_catalogue()
    every = (shipped(file.stem, catalogue) for file in scenario_files())
    return next((scenario for scenario in every if scenario.version == version), None)


async def _log_path(seat: SeatView, index: int, head: Head) -> list[bytes]:
    """The path of an entry under a head, as the department's gateway gives it; the ledger says whether it is right."""
    async with PublicLog(seat.keyset.endpoint) as log:
        return (await log.inclusion(index, head.size))[1]


async def _opened(
    stack: AsyncExitStack, node: str | None, file: Path | None, *, needed: bool
) -> tuple[LedgerView | None, Rpc | None]:
    """The chain through a node. None and None when there is no node or it does not answer, unless it is needed."""
    settings = load_settings()
    url = node or settings.node_url
    if url is None and file is None and not needed:
        return None, None
    deployment = require_deployment(file or settings.deployment_file)
    rpc = await stack.enter_async_context(Rpc(url or settings.require_node_url(), timeout=settings.rpc_timeout))
    try:
        return await open_view(rpc, deployment, watches=False), rpc
    except Unavailable as error:
        if needed:
            raise
        typer.secho(f"? {error}", fg="yellow", err=True)
        return None, None
