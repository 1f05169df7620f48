"""`lianban my`: a person's own: who looked at my data, withdrawing a consent, and the files that prove either."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from orchestrator.identity.mydata_client import MyDataClient
from orchestrator.settings import load_settings
from orchestrator.verify.report import moment

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_show_locals=False)

Number = Annotated[str, typer.Option("--number", prompt="证件号码 identifier", help="证件号码 · identifier")]
Passcode = Annotated[
    str,
    typer.Option(
        "--passcode", prompt="密码 passcode", hide_input=True, envvar="LIANBAN_PASSCODE", help="密码 · passcode"
    ),
]
Identity = Annotated[str | None, typer.Option("--identity", help="身份席位地址 · address of the identity seat")]
Out = Annotated[
    Path | None, typer.Option("--out", dir_okay=False, help="保存可核验的文件 · where to save the file to check")
]
Json = Annotated[bool, typer.Option("--json", help="给程序 · for programs")]


ONE_LOOK = 5
"""Seconds between two entries of one look, at the most."""


@app.command()
def questions(
    number: Number, passcode: Passcode, identity: Identity = None, out: Out = None, json: Json = False
) -> None:
    """谁查过我的数据 · every question that a department logged about me, by whom, why, and what was answered in kind."""
    view, paper = asyncio.run(_questions(number, passcode, identity, save=out is not None))
    if out is not None:
        out.write_bytes(orjson.dumps(paper, option=orjson.OPT_INDENT_2))
        typer.echo(f"✓ 已保存,用 lianban verify 核验 · saved, to be checked with lianban verify  {out}", err=json)
    if json:
        typer.echo(
            orjson.dumps({name: view[name] for name in ("looks", "silent")}, option=orjson.OPT_INDENT_2).decode()
        )
        return
    asked = [line for line in view["looks"] if line["kind"] == "question"]
    for line in asked:
        _tell(line)
    if not asked:
        typer.echo("各部门没有关于您的查询记录 · no department has logged a question about you")
    _tell_accesses([line for line in view["looks"] if line["kind"] == "access"])
    for each in view["silent"]:
        typer.secho(f"? {_both(each['department'])}  未能答复 did not answer  {each['error']}", fg="yellow")
    for paragraph in view["paragraphs"]:
        typer.echo(_both(paragraph))


@app.command()
def consents(number: Number, passcode: Passcode, identity: Identity = None, json: Json = False) -> None:
    """我的授权 · my cases: what I signed, and which departments have acknowledged a withdrawal."""
    view = asyncio.run(_acted(number, passcode, identity, "refresh"))
    _tell_cases(view["cases"], json)


@app.command()
def withdraw(
    case: Annotated[str, typer.Argument(help="办件编号 · the case")],
    number: Number,
    passcode: Passcode,
    identity: Identity = None,
    json: Json = False,
) -> None:
    """撤回授权:立即停止查询 · withdraw: no department answers a question under it any more. Needs no portal."""
    view = asyncio.run(_acted(number, passcode, identity, "withdraw", case=case))
    _tell_cases([each for each in view["cases"] if each["case"] == case], json)


@app.command()
def acknowledgements(
    case: Annotated[str, typer.Argument(help="办件编号 · the case")],
    number: Number,
    passcode: Passcode,
    out: Annotated[Path, typer.Option("--out", dir_okay=False, help="文件 · where to save it")],
    identity: Identity = None,
) -> None:
    """撤回的送达回执 · saves the withdrawal with every department's acknowledgement, to be checked with lianban verify."""
    paper = asyncio.run(_acted(number, passcode, identity, "receipt", case=case))
    out.write_bytes(orjson.dumps(paper, option=orjson.OPT_INDENT_2))
    told, named = len(paper["acknowledgements"]), len(paper["named"])
    typer.echo(f"✓ {told}/{named} 个部门已回执 · departments have acknowledged  {out}")


async def _questions(
    number: str, passcode: str, identity: str | None, *, save: bool
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    async with MyDataClient(identity or load_settings().identity_url()) as person:
        await person.sign_in(number, passcode)
        paper = await person.act("save") if save else None
        return await person.act("look"), paper


async def _acted(number: str, passcode: str, identity: str | None, action: str, **fields: str) -> dict[str, Any]:
    async with MyDataClient(identity or load_settings().identity_url()) as person:
        await person.sign_in(number, passcode)
        return await person.act(action, **fields)


def _tell(line: Mapping[str, Any]) -> None:
    where = "已上链 on chain" if line["anchored"] else "尚未上链 not on chain yet"
    typer.echo(f"{moment(line['at'])}  {_both(line['asker'])} → {_both(line['asked_of'])}  {_both(line['evidence'])}")
    act = f": {_both(line['act'])}" if line["act"] else ""
    typer.echo(f"    {_both(line['scenario'])}  {line['case']}  {_both(line['role'])}  {_both(line['basis'])}{act}")
    typer.echo(f"    {_both(line['outcome'])}")
    for claim in line["claims"]:
        typer.echo(f"      {_both(claim['name'])}: {_both(claim['kind'])}  {_both(claim['readers'])}")
    typer.echo(f"    日志第 {line['index']} 条 log entry, {where}")


def _tell_accesses(lines: Sequence[Mapping[str, Any]]) -> None:
    """Who had the list shown. One look is an entry at each department: those of one asker close to each other are told together."""
    looks: list[list[Mapping[str, Any]]] = []
    for line in lines:  # the newest first
        last = looks[-1][-1] if looks else None
        if last is not None and last["asker"] == line["asker"] and last["at"] - line["at"] <= ONE_LOOK:
            looks[-1].append(line)
        else:
            looks.append([line])
    for look in looks:
        typer.echo(
            f"{moment(look[-1]['at'])}  {_both(look[0]['asker'])}  代您本人查询本表,登记于 {len(look)} 个部门的日志 "
            f"had this list shown, for you: logged by {len(look)} departments"
        )


def _tell_cases(cases: list[dict[str, Any]], json: bool) -> None:
    if json:
        typer.echo(orjson.dumps({"cases": cases}, option=orjson.OPT_INDENT_2).decode())
        return
    for case in cases:
        ended = f"  撤回 withdrawn {moment(case['withdrawn_at'])}" if case["withdrawn_at"] else ""
        typer.echo(f"{case['case']}  {_both(case['title'])}  签署 signed {moment(case['signed_at'])}{ended}")
        for each in case["deliveries"]:
            state = f"✓ {moment(each['at'])}" if each["at"] else f"… 送达中 on its way  {each['error'] or ''}".rstrip()
            typer.echo(f"    {_both(each['department'])}  {_both(each['label'])}  {state}")


def _both(text: Mapping[str, str]) -> str:
    return f"{text['zh']} {text['en']}"
