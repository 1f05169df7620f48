"""What the demo says at the end: the table, the story of one dossier, the JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.tree import Tree

from orchestrator.demo.figures import SituationFigures, mean_reduction
from orchestrator.demo.walk import Walked
from orchestrator.domain.case import Status
from orchestrator.domain.plan import Days, plan
from orchestrator.scenarios import load_calendar, load_catalogue, shipped, situations

OUTCOME_WORDS = {
    Status.APPROVED: ("[green]准予[/]", "approved"),
    Status.ACCEPTED: ("[cyan]转人工[/]", "with an officer"),
    Status.RETURNED: ("[yellow]补正[/]", "returned"),
    Status.REFUSED: ("[red]不予[/]", "refused"),
    Status.WITHDRAWN: ("撤回", "withdrawn"),
    Status.REVOKED: ("撤销", "revoked"),
    Status.SUSPENDED: ("中止", "suspended"),
    Status.NONE: ("办理中", "in progress"),
}
KINDS = {"passes": "数据核验即办", "material": "补交材料", "stopped": "规则拦下"}


def situation_figures(day: date) -> list[SituationFigures]:
    """The plan of every named situation."""
    catalogue, calendar = load_catalogue(), load_calendar()
    found = []
    for each in situations(day):
        made = plan(shipped(each.scenario, catalogue), each.answers, day=day, calendar=calendar)
        found.append(
            SituationFigures(
                scenario=each.scenario,
                situation=each.id,
                materials_before=len(made.materials_before),
                materials_after=len(made.materials_after),
                time_before=made.before.value,
                time_after=made.after.value,
                time_unit=made.after.unit,
                trips=made.trips_after.most,
                february=each.february,
            )
        )
    return found


def print_table(console: Console, walked: Sequence[Walked]) -> None:
    """One line a case."""
    table = Table(title="七个场景 · seven scenarios", show_lines=False, expand=False)
    for name in ("场景 scenario", "情形 situation", "材料 materials", "时限 time", "跑动 trips"):
        table.add_column(name)
    for name in ("结果与理由 outcome and reason", "秒 s", "交易 transaction"):
        table.add_column(name)
    before = ""
    for each in walked:
        if before and before != each.applicant.walk.scenario:
            table.add_section()
        before = each.applicant.walk.scenario
        made = each.applicant.plan
        table.add_row(
            each.shown["name"]["zh"],
            f"{each.applicant.situation}\n[dim]{KINDS[each.applicant.kind]}[/]",
            _materials(each),
            f"{_days(made.before)} → {_days(made.after)}",
            f"{_trips(made.trips_before)} → {_trips(made.trips_after)}",
            _outcome(each),
            f"{each.seconds:.1f}",
            _transaction(each),
        )
    console.print(table)


def _materials(each: Walked) -> str:
    """Materials before → after; what was brought on top is counted from what happened to the case."""
    planned = f"{len(each.applicant.plan.materials_before)} → {len(each.applicant.plan.materials_after)}"
    extra = len(each.submitted) - len(each.applicant.plan.materials_after)
    return f"{planned} [yellow]+{extra}[/]" if extra > 0 else planned


def _days(days: Days) -> str:
    if days.value == 0:
        return "即时"
    return f"{days.value}{'工作日' if days.unit == 'working_day' else '天'}"


def _trips(trips: Any) -> str:
    return str(trips.least) if trips.least == trips.most else f"{trips.least}–{trips.most}"


def _outcome(each: Walked) -> str:
    zh, en = OUTCOME_WORDS[Status(each.shown["status"])]
    reasons = [f"{reason['row']} {reason['zh']}" for reason in each.shown["reasons"] if reason["row"]]
    first = reasons[0] if reasons else ""
    more = f" (+{len(reasons) - 1})" if len(reasons) > 1 else ""
    fault = f"\n[red]✗ {'; '.join(each.faults)}[/]" if each.faults else ""
    path = " → ".join(each.steps)
    return f"{zh} {en} [dim]({path})[/]\n{first}{more}{fault}"


def _transaction(each: Walked) -> str:
    last = each.shown["transitions"][-1]["transaction"] if each.shown["transitions"] else None
    return f"{last[:10]}…" if last else ""


def print_story(console: Console, walked: Walked, dossier: dict[str, Any], documents: dict[str, Any]) -> None:
    """What one case rests on, leaf by leaf."""
    tree = Tree(f"[bold]案卷 dossier[/] {walked.shown['name']['zh']} {walked.case[:18]}…")
    tree.add(f"根 root {dossier['root']}")
    tree.add(f"交易 transaction {dossier['transaction']}")
    asked = tree.add("核验 evidence")
    for each in walked.shown["evidence"]:
        asked.add(
            f"{each['item']} ← {each['provider']} (席位 seat {each['seat']}) {each['state']}, 第{each['attempt']}次"
        )
    leaves = tree.add(f"{len(dossier['leaves'])} 个叶 leaves")
    for leaf in dossier["leaves"]:
        kind, _, content = leaf["value"]
        leaves.add(f"{kind:<28} {content[:18]}… [dim]proof {len(leaf['proof'])}[/]")
    tree.add(f"授权书 mandates {len(documents['mandates'])}, 审批意见 verdicts {len(documents['verdicts'])}")
    console.print(tree)


def document(
    figures: Sequence[SituationFigures],
    walked: Sequence[Walked],
    on_chain: Mapping[str, int],
    chain: dict[str, Any],
) -> dict[str, Any]:
    """The demo's result as JSON. `on_chain` is each case's status as the ledger itself says it."""
    return {
        "scenarios": [
            {
                "id": each.scenario,
                "situation": each.situation,
                "materials_before": each.materials_before,
                "materials_after": each.materials_after,
                "time_before": each.time_before,
                "time_after": each.time_after,
                "time_unit": each.time_unit,
                "trips": each.trips,
                "cases": [
                    _case(one, on_chain[one.case])
                    for one in walked
                    if (one.applicant.walk.scenario, one.applicant.situation) == (each.scenario, each.situation)
                ],
            }
            for each in figures
        ],
        "mean_materials_reduction": float(mean_reduction(list(figures))),
        "chain": chain,
    }


def _case(walked: Walked, on_chain: int) -> dict[str, Any]:
    shown = walked.shown
    last = shown["transitions"][-1]
    return {
        "id": walked.case,
        "outcome": Status(shown["status"]).name.lower(),
        "status_on_chain": on_chain,
        "dossier_root": last["dossier_root"],
        "transaction": last["transaction"],
        "evidence": [
            {"provider": each["department"], "type": each["type"]}
            for each in shown["evidence"]
            if each["state"] == "answered"
        ],
        "materials_submitted": list(walked.submitted),
        "seconds": round(walked.seconds, 3),
    }
