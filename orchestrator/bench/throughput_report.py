"""What the gateway bench found: answers a second, latencies, memory, the verdict on the budget, the JSON and the table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from orchestrator.bench.asking import Measured, Sizes
from orchestrator.bench.cores import Cores
from orchestrator.seeding.city import Population

LEAST_ANSWERS: Final = 400
"""Answers a second that a gateway must give on one core."""
MOST_MEMORY: Final = 250
"""MB that its process may hold."""
PERCENTILES: Final = (50, 95, 99)
_BUSY: Final = 0.5
"""A gateway that gets less of its core shares the machine with others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What was asked."""

    scenario: str
    situation: str
    sizes: Sizes
    population: Population
    cases: int
    """Cases, each with a mandate of its own, that were made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """Everything that one run measured."""

    measured: Sequence[Measured]
    """By department, in the order of the scenario."""
    workload: Workload
    machine: Mapping[str, Any]
    cores: Cores
    at: datetime

    @property
    def answers_per_second(self) -> float:
        """Questions of a case, over the seconds that its departments' gateways spend on them."""
        return _of_a_case(self.measured, [each.questions / each.seconds for each in self.measured])

    @property
    def answers_per_cpu_second(self) -> float:
        """The same over the CPU seconds of the gateways' processes."""
        return _of_a_case(self.measured, [each.questions / each.cpu_seconds for each in self.measured])

    @property
    def slowest_rate(self) -> float:
        """Answers a second of the department that answers fewest."""
        return min(each.questions / each.seconds for each in self.measured)

    @property
    def resident_mb(self) -> float:
        """Most that any gateway's process held."""
        return max(each.resident_mb for each in self.measured)

    @property
    def within_budget(self) -> bool:
        """Whether every line of the budget holds."""
        return all(line["within"] for line in self.budget().values())

    def budget(self) -> dict[str, dict[str, Any]]:
        """The budget, line by line; it is asked of every department, not of the mean."""
        return {
            "answers_per_second": _line(self.answers_per_second, LEAST_ANSWERS, least=True),
            "slowest_department": _line(self.slowest_rate, LEAST_ANSWERS, least=True),
            "resident_mb": _line(self.resident_mb, MOST_MEMORY, least=False),
        }

    def document(self) -> dict[str, Any]:
        """The result as JSON."""
        sizes = self.workload.sizes
        return {
            "answers_per_second": round(self.answers_per_second, 1),
            "answers_per_cpu_second": round(self.answers_per_cpu_second, 1),
            **_latencies(self.measured),
            "resident_mb": round(self.resident_mb, 1),
            "budget": self.budget(),
            "within_budget": self.within_budget,
            "departments": {each.department: _department(each) for each in self.measured},
            "workload": {
                "scenario": self.workload.scenario,
                "situation": self.workload.situation,
                "questions_per_case": sum(each.questions_per_case for each in self.measured),
                "questions_per_batch": sizes.batch,
                "batches_in_flight": sizes.in_flight,
                "warm_up_batches": sizes.warm_up,
                "seconds_per_department": sizes.seconds,
                "cases": self.workload.cases,
                "residents": self.workload.population.residents,
                "enterprises": self.workload.population.enterprises,
                "answers_verified": sum(each.verified for each in self.measured),
            },
            "machine": {
                **self.machine,
                "gateway_core": self.cores.measured,
                "other_cores": sorted(self.cores.others),
            },
            "date": self.at.isoformat(timespec="seconds"),
        }


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent of the values do not exceed (nearest rank)."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def print_throughput(console: Console, found: Throughput) -> None:
    """The table, and whether the budget holds, line by line."""
    sizes = found.workload.sizes
    table = Table(
        title="网关应答,一个核 · a gateway's answers on one core; latency of a batch, and of one question alone",
        expand=False,
    )
    table.add_column("部门 department", no_wrap=True)
    for name in ("项/件 a case", "应答/秒 a s", "/CPU 秒 s", "每批 p50", "p95", "p99 ms", "单问 p50 ms", "MB"):
        table.add_column(name, justify="right")
    for each in found.measured:
        batch, single = each.batch_ms, each.single_ms
        table.add_row(
            each.department,
            str(each.questions_per_case),
            f"{each.questions / each.seconds:,.0f}",
            f"{each.questions / each.cpu_seconds:,.0f}",
            *(f"{percentile(batch, percent):,.0f}" for percent in PERCENTILES),
            f"{percentile(single, 50):,.1f}",
            f"{each.resident_mb:,.0f}",
        )
    console.print(table)
    console.print(
        f"每批 {sizes.batch} 项,{sizes.in_flight} 批并行 · batches of {sizes.batch}, {sizes.in_flight} under way at once;"
        f" 一件 a case: {found.answers_per_second:,.0f}/s, {found.answers_per_cpu_second:,.0f}/CPU s",
        soft_wrap=True,
    )
    place = "未绑定核 not bound to a core" if found.cores.measured is None else f"核 core {found.cores.measured}"
    console.print(f"[dim]{place} · {found.machine['processor']} · load {found.machine['load_average_before']}[/]")
    for name, line in found.budget().items():
        sign = "≥" if "least" in line else "≤"
        limit = line.get("least", line.get("most"))
        if line["within"]:
            console.print(f"[green]✓[/] {name} {line['measured']:,} {sign} {limit}")
        else:
            sign = "<" if "least" in line else ">"
            console.print(f"[red]✗ 未达要求 beyond the budget: {name} {line['measured']:,} {sign} {limit}[/]")
    share = sum(each.cpu_seconds for each in found.measured) / sum(each.seconds for each in found.measured)
    if share < _BUSY and found.slowest_rate < LEAST_ANSWERS <= found.answers_per_cpu_second:
        console.print(
            f"[yellow]! 网关只得到该核的 {share:.0%}:机器另有负载,空闲时再测 / the gateways got {share:.0%} of their core:"
            f" something else uses this machine; measure again when it is quiet[/]",
            soft_wrap=True,
        )


def _of_a_case(measured: Sequence[Measured], rates: Sequence[float]) -> float:
    questions = [each.questions_per_case for each in measured]
    return sum(questions) / sum(count / rate for count, rate in zip(questions, rates, strict=True))


def _department(each: Measured) -> dict[str, Any]:
    return {
        "questions_per_case": each.questions_per_case,
        "questions": each.questions,
        "batches": len(each.batch_ms),
        "seconds": round(each.seconds, 3),
        "cpu_seconds": round(each.cpu_seconds, 3),
        "core_share": round(each.cpu_seconds / each.seconds, 3),
        "answers_per_second": round(each.questions / each.seconds, 1),
        "answers_per_cpu_second": round(each.questions / each.cpu_seconds, 1),
        **_latencies([each]),
        "resident_mb": round(each.resident_mb, 1),
    }


def _latencies(measured: Sequence[Measured]) -> dict[str, dict[str, float]]:
    """Percentiles over all batches, over the same shared out among their questions, and of questions asked alone."""
    return {
        "latency_ms_per_batch": _percentiles([ms for each in measured for ms in each.batch_ms]),
        "latency_ms_per_question": _percentiles([ms / each.batch for each in measured for ms in each.batch_ms]),
        "latency_ms_single_question": _percentiles([ms for each in measured for ms in each.single_ms]),
    }


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    return {f"p{percent}": round(percentile(values, percent), 2) for percent in PERCENTILES}


def _line(measured: float, limit: int, *, least: bool) -> dict[str, Any]:
    shown = round(measured, 1)
    within = measured >= limit if least else measured <= limit
    return {"measured": shown, "least" if least else "most": limit, "within": within}
