"""`lianban scenario check` and `lianban scenario plan`: read a scenario file, say what is wrong or what it means.

Exit codes: 0 all is well, 2 the file or the answers are wrong.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from orchestrator.domain.calendar import Unit
from orchestrator.domain.difference import Change
from orchestrator.domain.errors import Invalid
from orchestrator.domain.plan import Days, Plan, Trips
from orchestrator.domain.plan import plan as make_plan
from orchestrator.domain.readers import ClaimName, readings
from orchestrator.domain.scenario import Scenario
from orchestrator.domain.scenario_file import ScenarioFaults, load_scenario
from orchestrator.domain.vocabulary import SECTIONS
from orchestrator.scenarios import load_calendar, load_catalogue

app = typer.Typer(no_args_is_help=True, help="场景文件 · scenario files")

FileArgument = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="场景文件 · scenario file (YAML)")]
Departments = Annotated[
    list[Path] | None,
    typer.Option("--department", help="补充的部门文件,可多次给出 · a further department file; may be given again"),
]

LONG = 80
"""Characters from which a change is told in lines of its own for what was and what is."""

_UNITS: dict[Unit, tuple[str, str]] = {
    "working_day": ("个工作日", "working days"),
    "calendar_day": ("天", "calendar days"),
}
_BASES = {"statute": ("法定", "statute"), "consent": ("同意", "consent"), "public": ("公开", "public")}


@app.command("check")
def check(file: FileArgument, department: Departments = None) -> None:
    """检查场景文件,逐行说明错误 · Check a scenario file; each fault with its line."""
    console = Console(highlight=False)
    scenario = load(file, department or ())
    rows = len(scenario.rules)
    console.print(f"[green]✓[/] {escape(scenario.name.zh)} · {escape(scenario.name.en)}")
    console.print(f"  版本 version  {scenario.version}", soft_wrap=True)
    console.print(f"  文本 texts    {scenario.texts_hash}", soft_wrap=True)
    console.print(
        f"  材料 {len(scenario.materials)} · 核验数据 {len(scenario.evidence)} · 规则 {rows} · "
        f"审批部门 {', '.join(scenario.approvers)}"
    )


@app.command("plan")
def plan(
    file: FileArgument,
    answers: Annotated[
        str, typer.Option("--answers", help="答案:k=v,k=v 或 JSON 文件 · answers: k=v,k=v or a JSON file")
    ] = "",
    day: Annotated[str, typer.Option("--day", help="授权日 YYYY-MM-DD,默认今天 · day of the mandate")] = "",
    department: Departments = None,
) -> None:
    """按情形列出材料、核验数据、审批部门、期限与跑动次数 · Show what a situation means."""
    console = Console(highlight=False)
    scenario = load(file, department or ())
    try:
        given = read_answers(scenario, answers)
        result = make_plan(scenario, given, day=_day(day), calendar=load_calendar())
    except Invalid as error:
        console.print(f"[red]✗[/] {error.field}:{escape(error.detail)} · {escape(error.detail_en)}")
        if error.remedy:
            console.print(f"  → {escape(error.remedy)}")
        raise typer.Exit(2) from None
    _show(console, scenario, result)


@app.command("readers")
def readers(file: FileArgument, department: Departments = None) -> None:
    """列出每项核验由谁可读 · Who may read which claim: the orchestrator, or the approvers that it is sealed to."""
    console = Console(highlight=False)
    catalogue = load_catalogue(*(department or ()))
    scenario = load(file, department or ())
    table = Table(title=f"{escape(scenario.name.zh)} · {escape(scenario.name.en)}", title_justify="left")
    for heading in ("核验数据 evidence", "协调方可读 orchestrator", "密封给审批部门 sealed to approvers"):
        table.add_column(heading, overflow="fold")
    for each in readings(scenario, catalogue):
        sealed = [f"{role}:{_claims(claims)}" for role, claims in each.sealed.items()]
        table.add_row(
            f"{each.item}\n{escape(each.evidence.zh)} ← {each.provider}", _claims(each.open), "\n".join(sealed)
        )
    console.print(table)


def _claims(claims: Sequence[ClaimName]) -> str:
    return "、".join(f"{escape(claim.name.zh)} {claim.key}" for claim in claims)


def show_changes(console: Console, changes: Sequence[Change]) -> None:
    """A difference in words, by section: Chinese, and English below it."""
    for (decides, section), group in groupby(changes, key=lambda change: (change.decides, change.section)):
        heading = SECTIONS[section]
        only = "" if decides else "(仅文字 · wording only)"
        console.print(f"\n[bold]{escape(heading.zh)} · {escape(heading.en)}[/]{only}", soft_wrap=True)
        for change in group:
            colour = {"+": "green", "-": "red", "~": "yellow"}[change.mark]
            zh, en = change.sentences()
            if change.was is not None and change.now is not None and len(zh) > LONG:
                zh = f"{change.place.zh}\n      原 {change.was.zh}\n      现 {change.now.zh}"
                en = f"{change.place.en}\n      was {change.was.en}\n      now {change.now.en}"
            console.print(f"  [{colour}]{change.mark}[/] {escape(zh)}", soft_wrap=True)
            console.print(f"    [dim]{escape(en)}[/]", soft_wrap=True)


def read_answers(scenario: Scenario, text: str) -> dict[str, Any]:
    """Answers as typed on a command line: `k=v,k=v`, or the path of a JSON file. Raises Invalid."""
    if text.endswith(".json"):
        try:
            found = json.loads(Path(text).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise _bad_answers("无法读取答案文件", "The file of answers cannot be read") from error
        if not isinstance(found, dict):
            raise _bad_answers("答案文件应为 JSON 对象", "The file of answers holds no JSON object")
        return found
    answers: dict[str, Any] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        name, separator, value = pair.partition("=")
        if not separator:
            raise _bad_answers("答案应写作 问题=答案", "Write question=answer")
        answers[name] = _typed(scenario, name, value)
    return answers


def _typed(scenario: Scenario, name: str, value: str) -> Any:
    kind = next((question.type for question in scenario.questions if question.id == name), "text")
    if kind == "boolean" and value in ("true", "false"):
        return value == "true"
    if kind == "integer" and value.lstrip("-").isdigit():
        return int(value)
    return value


def _bad_answers(zh: str, en: str) -> Invalid:
    return Invalid(field="--answers", detail=zh, detail_en=en, remedy="decoration_area_m2=300,handled_by=self")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text) if text else date.today()
    except ValueError as error:
        raise Invalid(field="--day", detail="日期不正确", detail_en="This is no date", remedy="YYYY-MM-DD") from error


def load(file: Path, departments: Sequence[Path]) -> Scenario:
    """The scenario in a file, with further department files. Prints its faults and ends the command when it has any."""
    console = Console(highlight=False)
    try:
        return load_scenario(file.read_text("utf-8"), catalogue=load_catalogue(*departments))
    except ScenarioFaults as faults:
        console.print(f"[red]✗[/] {escape(str(file))}:{len(faults.faults)} 处错误 · {len(faults.faults)} faults")
        for fault in faults.faults:
            console.print(f"  {fault.line}:{fault.column}  [bold]{escape(fault.field)}[/]")
            console.print(f"      {escape(fault.zh)} · {escape(fault.en)}")
            if fault.remedy:
                console.print(f"      → {escape(fault.remedy)}")
        raise typer.Exit(2) from None
    except Invalid as error:
        console.print(f"[red]✗[/] {escape(error.field)}:{escape(error.detail)} · {escape(error.detail_en)}")
        if error.remedy:
            console.print(f"  → {escape(error.remedy)}")
        raise typer.Exit(2) from None
    except (OSError, UnicodeDecodeError):
        console.print(f"[red]✗[/] {escape(str(file))}:无法读取 · cannot be read")
        raise typer.Exit(2) from None


def _show(console: Console, scenario: Scenario, result: Plan) -> None:
    console.print(f"[bold]{escape(scenario.name.zh)}[/] · {escape(scenario.name.en)}")
    before, after = len(result.materials_before), len(result.materials_after)
    materials = Table(title=f"材料 materials {before} → {after}", title_justify="left")
    materials.add_column("材料", overflow="fold")
    materials.add_column("material", overflow="fold")
    materials.add_column("提交 to bring", justify="center")
    for name in result.materials_before:
        material = scenario.material(name)
        to_bring = "●" if name in result.materials_after else "链上核验 verified"
        materials.add_row(escape(material.name.zh), escape(material.name.en), to_bring)
    console.print(materials)
    evidence = Table(title=f"核验数据 evidence {len(result.evidence)}", title_justify="left")
    for heading in ("item", "核验对象 subject", "部门 department", "依据 basis"):
        evidence.add_column(heading, overflow="fold")
    for each in (*result.evidence, *result.push_evidence):
        label = scenario.subject(each.subject).label
        zh, en = _BASES[each.basis.kind]
        basis = f"{zh} {en}:{escape(each.basis.act.zh)}"
        purpose = "(推送 push)" if each in result.push_evidence else ""
        evidence.add_row(f"{each.item}{purpose}", f"{escape(label.zh)} · {escape(label.en)}", each.provider, basis)
    console.print(evidence)
    console.print(f"审批部门 approvers  {', '.join(result.approvers)}")
    console.print(f"办理时间 time       {_days(result.before)} → {_days(result.after)}")
    provisional = "(节假日未公布,暂定 · provisional)" if result.decide_by.provisional else ""
    console.print(f"办结日 decide by    {result.decide_by.day.isoformat()}{provisional}")
    console.print(f"跑动次数 trips      {_trips(result.trips_before)} → {_trips(result.trips_after)}")
    if result.consents:
        labels = (scenario.subject(role).label for role in result.consents)
        console.print(f"需同意 consents     {', '.join(f'{label.zh} · {label.en}' for label in labels)}")


def _days(days: Days) -> str:
    if days.value == 0:
        return "即审即办 · at once"
    zh, en = _UNITS[days.unit]
    return f"{days.value} {zh} · {days.value} {en}"


def _trips(trips: Trips) -> str:
    return str(trips.most) if trips.least == trips.most else f"{trips.least}–{trips.most}"
