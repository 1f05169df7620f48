"""`lianban officer acts`: what a department's officers did at the desk, with every signature checked."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from orchestrator.cli_gateway import at_department
from orchestrator.domain.errors import LianbanError
from orchestrator.gateway.acts import read_act
from orchestrator.settings import load_settings


def acts(
    department: str,
    case: Annotated[str | None, typer.Option(help="只看这个办件 · of this case only")] = None,
    last: Annotated[int, typer.Option(help="最近多少条 · how many, the newest", min=1)] = 50,
) -> None:
    """经办留痕:谁何时对哪个办件做了什么,逐条验签 · who did what and when, each signature checked; run by the department."""

    async def run() -> list[tuple[str, ...]]:
        async with at_department(load_settings(), department) as (seat, view, _):
            rows = await seat.store.rows(
                "select case_id, act, login, at, signed, request from desk_act"
                " where %(case)s::text is null or case_id = %(case)s order by id desc limit %(last)s",
                {"case": case, "last": last},
            )
            own, found = await view.seat(seat.number), []
        for row in reversed(rows):
            try:
                act = read_act(str(row["signed"]), str(row["request"]), own)
                same = (act["case"], act["act"], act["officer"]["login"]) == (row["case_id"], row["act"], row["login"])
                mark = "✓" if same else "✗ 记录被改动 altered"
            except LianbanError as error:
                mark = f"✗ {error.detail} · {error.detail_en}"
            done = (str(row[each]) for each in ("login", "act", "case_id"))
            found.append((str(row["at"])[:19], *done, mark))
        return found

    table = Table("时间 at", "登录名 login", "动作 act", "办件 case", "签名 signatures")
    found = asyncio.run(run())
    for row in found:
        table.add_row(*row)
    Console().print(table)
    if any(row[-1] != "✓" for row in found):
        raise typer.Exit(1)
