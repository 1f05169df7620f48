"""`lianban replay`: an approver decides a case once more from its own dossier, and reads what differs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from orchestrator.cli_gateway import at_department
from orchestrator.domain.errors import Refused
from orchestrator.domain.vocabulary import VOCABULARY, Words
from orchestrator.gateway.mandates import MandateReader
from orchestrator.gateway.replay import replay, report
from orchestrator.gateway.seat import Seat
from orchestrator.gateway.verdicts import RulesByVersion
from orchestrator.ledger.proofs import Proofs
from orchestrator.scenarios import load_catalogue
from orchestrator.settings import load_settings

app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)

WHAT: Mapping[str, Words] = {
    "engine": Words("规则引擎版本不同", "another version of the rules engine"),
    "rules": Words("规则不同", "other rules"),
    "content": Words("案卷内容与意见所列不符", "the dossier is not what the verdict names"),
    "input": Words("输入项的值不同", "an input has another value"),
    "outcome": Words("结果不同", "another outcome"),
    "rows": Words("命中的规则不同", "other rows hit"),
    "materials": Words("要求补正的材料不同", "other materials are wanted"),
}
"""What may differ."""
ON_CHAIN: Mapping[str, Words] = {
    "settled": Words("链上案卷含此意见", "the dossier settled on chain holds this verdict"),
    "not-signed": Words("尚未为此意见签批", "nothing was signed on this verdict"),
    "not-settled": Words("已签批,链上尚无此步", "signed, not settled on chain"),
    "other": Words("链上此步不是依据此意见", "what settled under this number does not rest on this verdict"),
}
"""What the chain says of the verdict."""


@app.command()
def replay_case(
    case: Annotated[str, typer.Argument(help="办件编号 · the case's id, 0x…")],
    department: Annotated[str, typer.Option("--department", help="审批部门 id · the approver")],
    sequence: Annotated[int | None, typer.Option(help="第几步的意见,默认最新 · which step; the newest")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="输出 JSON · print JSON")] = False,
) -> None:
    """在本部门网关处按原案卷再次评判:结果相同,或说明差别 · decide a case once more from its own dossier.

    Needs the department's keys and its gateway's store, and a node; asks no other department and no operator.
    """
    found = asyncio.run(_replay(case, department, sequence))
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
        raise typer.Exit(0 if found["same"] else 1)
    show_replay(found)


async def _replay(case: str, department: str, sequence: int | None) -> dict[str, Any]:
    settings = load_settings()
    async with at_department(settings, department) as (seat, view, rpc):
        found = await replay(
            case, seat=seat, chain=view, reader=MandateReader(), rules=RulesByVersion(), sequence=sequence
        )
        told = report(found, load_catalogue(*sorted(settings.adapters_dir.glob("*.yaml"))))
        return told | {"chain": await _on_chain(told, seat, Proofs(rpc, view))}


async def _on_chain(told: Mapping[str, Any], seat: Seat, proofs: Proofs) -> str:
    """Whether the transition that settled under the verdict's number rests on it: a key of `ON_CHAIN`."""
    place = [told["case"], told["sequence"]]
    rows = await seat.store.rows("select root, leaves from outcome where case_id = %s and sequence = %s", place)
    if not rows or ("verdict", told["verdict"]) not in _contents(rows[0]["leaves"]):
        return "not-signed"
    try:
        history = await proofs.history(told["case"])
    except Refused:  # the chain has no such case
        return "not-settled"
    settled = [each.root for each in history.transitions if each.sequence == told["sequence"]]
    if not settled:
        return "not-settled"
    return "settled" if history.complete and settled == [rows[0]["root"]] else "other"


def _contents(leaves: Any) -> set[tuple[str, str]]:
    return {(str(each["kind"]), str(each["content"])) for each in leaves}


def show_replay(told: Mapping[str, Any]) -> None:
    """Prints a replay in words; ends with exit code 1 when something differs."""
    console = Console(highlight=False)

    def line(zh: str, en: str, said: str) -> None:
        console.print(f"[bold]{zh}[/] {en}  {escape(said)}", soft_wrap=True)

    def outcome(word: str | None) -> str:
        return " ".join(VOCABULARY["outcome", word]) if word else "—"

    rests, signed = told["rests_on"], datetime.fromtimestamp(told["signed_at"], UTC)
    line("办件", "case    ", told["case"])
    line("意见", "verdict ", f"{told['verdict']}  #{told['sequence']} {told['seat']} {signed:%Y-%m-%dT%H:%M:%SZ}")
    line("规则", "rules   ", told["rules"])
    line("引擎", "engine  ", told["engine"]["now"])
    line("输入", "inputs  ", rests["inputs"])
    for each in rests["answers"]:
        line("应答", "answer  ", f"{each['hash']} ({each['attempt']})")
    for each in rests["materials"]:
        line("材料", "material", f"{each['hash']} {each['id']}")
    by = " (经办人决定 by an officer)" if told["by_officer"] else ""
    by += " (已复核 countersigned)" if told["countersigned"] else ""
    line("意见结果", "signed", outcome(told["outcome"]["signed"]) + by)
    line("再次评判", "now   ", outcome(told["outcome"]["now"]))
    if told["proposed"] not in (None, told["outcome"]["now"]):
        line("规则拟办", "rules propose", outcome(told["proposed"]))
    for each in told["rows"]:
        line("理由", each["row"], f"{each.get('zh', '')} / {each.get('en', '')}")
    for each in told["changes"]:
        line("  如果", each["row"], f"{each['zh']} / {each['en']}")
    if "chain" in told:
        line("链上", "chain ", " / ".join(ON_CHAIN[told["chain"]]))
    for each in told["differences"]:
        zh, en = WHAT[each["what"]]
        console.print(f"[red]✗ {zh} · {en}:[/] {escape(each['name'])}", soft_wrap=True)
        console.print(f"    {each['signed'] or '—'} → {each['now'] or '—'}", markup=False, soft_wrap=True)
    if told["differences"]:
        raise typer.Exit(1)
    console.print("[green]✓ 结果一致 · the same decision[/]")
