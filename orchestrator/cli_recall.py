"""`lianban recall`: a department takes back answers that were wrong, and sees whom it reaches before it signs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from orchestrator.cli_gateway import at_department
from orchestrator.database import Row
from orchestrator.domain.case import Status
from orchestrator.domain.errors import Invalid, Refused
from orchestrator.domain.vocabulary import Words
from orchestrator.gateway.recalls import Reached, answers_about, answers_to, reach, recall
from orchestrator.gateway.seat import Seat
from orchestrator.ledger.view import LedgerView
from orchestrator.protocol.jose import jws_hash
from orchestrator.settings import load_settings

app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)

OPEN = Words("尚未办结:将重新核验", "still open: it will be asked again")
WHAT_FOLLOWS = {
    Status.NONE: OPEN,
    Status.ACCEPTED: OPEN,
    Status.RETURNED: OPEN,
    Status.APPROVED: Words("已准予:审批部门复核,告知持证人", "approved: the approvers look again, the holder is told"),
    Status.REFUSED: Words("不予:审批部门复核,告知申请人", "refused: the approvers look again, the applicant is told"),
    Status.WITHDRAWN: Words("已撤回:无", "withdrawn: nothing"),
    Status.REVOKED: Words("已撤销:无", "revoked: nothing"),
    Status.SUSPENDED: Words("效力已中止:复核一并处理", "suspended: looked at again with the rest"),
}
"""What a recall leads to, by the case's status on chain."""
SUSPENDS = Words(
    "已准予:证照将中止效力,审批部门复核,告知持证人",
    "approved: would be suspended, the approvers look again, the holder is told",
)
"""What it leads to where the scenario says that the recall suspends (`on_recall`)."""


@app.command()
def recall_answers(
    department: Annotated[str, typer.Option("--department", help="本部门 id · this department")],
    reason: Annotated[str, typer.Option("--reason", help="原因,不写个人信息 · why; nothing about a person")],
    question: Annotated[str | None, typer.Option(help="核验请求编号 · id of the question, 0x…")] = None,
    attempt: Annotated[int | None, typer.Option(help="第几次应答,默认全部 · which attempt; all of them")] = None,
    about: Annotated[
        str | None,
        typer.Option(help="标识类型,如 uscc、citizen;标识随后输入 · kind of identifier; the identifier is asked for"),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="不再询问 · do not ask")] = False,
) -> None:
    """召回已给出的错误应答:先显示影响范围,确认后签署 · take back answers found wrong: shows the reach, asks, signs.

    Correct the record first: what is still open is asked again at once. Needs the department's keys and store, and a node.
    """
    if (question is None) == (about is None):
        raise Invalid(
            field="--question",
            detail="请给出 --question 或 --about 之一",
            detail_en="give either --question or --about",
            remedy="--question 0x… | --about uscc",
        )
    identifier = typer.prompt("标识 identifier").strip() if about is not None else ""

    async def run(seat: Seat, view: LedgerView) -> None:
        found: list[Row]
        if question is not None:
            found = await answers_to(question, attempt, seat)
        else:
            found = await answers_about(str(about), identifier, seat)
        reached = await reach(found, seat, view)
        if not reached:
            raise Refused(
                "没有可召回的应答",
                detail_en="there is no answer to recall",
                code="not-found",
                remedy="核对编号与部门;已召回的不再列出 / check id and department; what is recalled is not listed",
            )
        _show(reached)
        if not yes:
            typer.confirm("签署召回? Sign the recall?", abort=True)
        for jws in await recall(reached, reason, seat):
            typer.echo(f"✓ {jws_hash(jws)}")

    asyncio.run(_at(department, run))


def _show(reached: list[Reached]) -> None:
    titles = ("办件 case", "核验项 item", "第几次 attempt", "后果 what follows")
    console, table = Console(highlight=False), Table(*(Column(title, overflow="fold") for title in titles))
    for each in reached:
        table.add_row(each.case, each.item, str(each.answer.attempt), "\n".join(_what_follows(each)))
    console.print(table)
    cases = {each.case: each.status for each in reached}
    decided = sum(status in (Status.APPROVED, Status.REFUSED, Status.SUSPENDED) for status in cases.values())
    suspended = len({each.case for each in reached if _suspends(each)})
    console.print(
        f"涉及 {len(reached)} 项应答、{len(cases)} 件办件,其中已决定 {decided} 件,证照将中止效力 {suspended} 件"
        f" · {len(reached)} answers, {len(cases)} cases, {decided} of them decided, would be suspended: {suspended}",
        soft_wrap=True,
    )


def _suspends(each: Reached) -> bool:
    return each.suspends and each.status is Status.APPROVED


def _what_follows(each: Reached) -> Words:
    return SUSPENDS if _suspends(each) else WHAT_FOLLOWS[each.status]


async def _at(department: str, action: Callable[[Seat, LedgerView], Awaitable[None]]) -> None:
    async with at_department(load_settings(), department) as (seat, view, _):
        await action(seat, view)
