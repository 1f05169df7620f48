"""What the gas bench found: figures, the verdict on the budget, the JSON and the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from orchestrator.bench.chart import Bar
from orchestrator.bench.floor import Floor
from orchestrator.ledger.poster import GAS_LIMIT

AT_ONCE_LIMIT = 29_000
"""Most gas of a case that is decided at once, in the largest batch."""
TWO_BATCHES_LIMIT = 38_500
"""Most gas of a case that is accepted in one of the largest batches and decided in a later one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchFigures:
    """Gas of whole transactions with so many cases."""

    cases: int
    at_once: int
    """Approved in its first transition; all sheets, six heads."""
    accepted: int
    """Accepted: the leads' sheets, six heads."""
    decided: int
    """The same cases approved later: all sheets, no heads, since their answers were logged before the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EasFigures:
    """What EAS took for the same cases."""

    package: str
    """Version of the npm package."""
    cases: int
    batch: int
    """Attestations in one `multiAttest`."""
    attestations: int
    gas: int
    """Of all transactions together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Where it was measured."""

    client: str
    chain_id: int
    hardfork: str | None
    """As the node names its rules; None when it does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One line of the budget."""

    name: str
    """What is limited, a key of the JSON."""
    measured: int
    most: int

    @property
    def within(self) -> bool:
        """Whether the budget holds here."""
        return self.measured <= self.most


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Everything that one run measured. Gas a case is rounded up."""

    batches: Sequence[BatchFigures]
    """By size, the largest last; the budget is about the largest."""
    heads_again: int
    """Gas of accepting and deciding the largest batch when six heads come with the second transaction too."""
    heads_alone: int
    """Gas of a transaction with nothing but six heads."""
    eas: EasFigures
    floor: Floor
    node: Node
    at: datetime

    @property
    def largest(self) -> BatchFigures:
        """The batch that the budget is about."""
        return self.batches[-1]

    @property
    def at_once(self) -> int:
        """Gas of a case decided at once in the largest batch."""
        return a_case(self.largest.at_once, self.largest.cases)

    @property
    def two_batches(self) -> int:
        """Gas of a case accepted in one of the largest batches and decided in a later one."""
        return a_case(self.largest.accepted + self.largest.decided, self.largest.cases)

    @property
    def eas_case(self) -> int:
        """Gas of a case recorded with EAS."""
        return a_case(self.eas.gas, self.eas.cases)

    @property
    def ratio_to_eas(self) -> float:
        """How many times our gas EAS takes."""
        return self.eas_case / self.at_once

    @property
    def ratio_to_floor(self) -> float:
        """How many times the floor we take."""
        return self.at_once / self.floor.one_slot

    def budget(self) -> list[Limit]:
        """The budget, line by line."""
        size = self.largest.cases
        most = max(max(each.at_once, each.accepted, each.decided) for each in self.batches)
        return [
            Limit(name=f"decided_at_once_{size}", measured=self.at_once, most=AT_ONCE_LIMIT),
            Limit(name=f"two_batches_{size}", measured=self.two_batches, most=TWO_BATCHES_LIMIT),
            Limit(name="largest_transaction", measured=most, most=GAS_LIMIT),
        ]

    def document(self) -> dict[str, Any]:
        """The result as JSON. Gas is a case's unless a key says otherwise."""
        size = self.largest.cases
        budget = self.budget()
        return {
            "ours": {
                **{f"decided_at_once_{each.cases}": a_case(each.at_once, each.cases) for each in self.batches},
                **{
                    f"two_batches_{each.cases}": a_case(each.accepted + each.decided, each.cases)
                    for each in self.batches
                },
                f"accepted_{size}": a_case(self.largest.accepted, size),
                f"decided_later_{size}": a_case(self.largest.decided, size),
                f"two_batches_heads_in_both_{size}": a_case(self.heads_again, size),
                "six_heads_alone": self.heads_alone,
                "largest_transaction": budget[-1].measured,
            },
            "eas": {
                "multiattest_per_case": self.eas_case,
                "multiattest_per_attestation": a_case(self.eas.gas, self.eas.attestations),
                "cases": self.eas.cases,
                "batch": self.eas.batch,
                "package": self.eas.package,
            },
            "floor": {"one_slot": self.floor.one_slot, "changed_slot": self.floor.changed_slot},
            "ratio_to_eas": round(self.ratio_to_eas, 3),
            "ratio_to_floor": round(self.ratio_to_floor, 3),
            "budget": {
                each.name: {"measured": each.measured, "limit": each.most, "within": each.within} for each in budget
            },
            "within_budget": all(each.within for each in budget),
            "node": {"client": self.node.client, "chain_id": self.node.chain_id, "hardfork": self.node.hardfork},
            "date": self.at.isoformat(timespec="seconds"),
        }

    def bars(self) -> list[Bar]:
        """What the chart shows, gas a case."""
        ours = [
            Bar(
                zh=f"链办 当场办结 每批{each.cases}件",
                en=f"Lianban, decided at once, batch of {each.cases}",
                value=a_case(each.at_once, each.cases),
                ours=True,
            )
            for each in self.batches
        ]
        return [
            Bar(zh="EAS 每件6条证明", en="EAS multiAttest, 6 attestations a case", value=self.eas_case),
            *ours,
            Bar(
                zh=f"链办 先受理后办结 每批{self.largest.cases}件",
                en=f"Lianban, accepted, decided later, batch of {self.largest.cases}",
                value=self.two_batches,
                ours=True,
            ),
            Bar(zh="下限 一个新存储槽", en="floor: one new storage slot", value=self.floor.one_slot),
        ]


def a_case(gas: int, cases: int) -> int:
    """Gas a case, rounded up."""
    return -(-gas // cases)


def print_findings(console: Console, findings: Findings) -> None:
    """The table of all figures, and whether the budget holds, line by line."""
    limits: Mapping[str, Limit] = {each.name: each for each in findings.budget()}
    table = Table(title="每件燃料费 · gas a case", expand=False)
    table.add_column("情形 what")
    for name in ("燃料 gas", "下限的 × floor", "EAS 为 × EAS is", "预算 limit"):
        table.add_column(name, justify="right")
    table.add_column("")

    def row(what: str, gas: int, limit: Limit | None = None) -> None:
        verdict = "" if limit is None else "[green]✓[/]" if limit.within else "[red]✗[/]"
        table.add_row(
            what,
            f"{gas:,}",
            f"{gas / findings.floor.one_slot:.2f}",
            f"{findings.eas_case / gas:.1f}",
            "" if limit is None else f"≤ {limit.most:,}",
            verdict,
        )

    for each in findings.batches:
        name = f"decided_at_once_{each.cases}"
        row(
            f"当场办结,每批 {each.cases} 件 [dim]decided at once, batch of {each.cases}[/]",
            a_case(each.at_once, each.cases),
            limits.get(name),
        )
    table.add_section()
    for each in findings.batches:
        name = f"two_batches_{each.cases}"
        row(
            f"先受理后办结,每批 {each.cases} 件 [dim]accepted, decided later[/]",
            a_case(each.accepted + each.decided, each.cases),
            limits.get(name),
        )
    row(
        "同上,两批都带日志头 [dim]the same, heads in both[/]",
        a_case(findings.heads_again, findings.largest.cases),
    )
    table.add_section()
    row(f"EAS multiAttest,每批 {findings.eas.batch} 条 [dim]6 attestations a case[/]", findings.eas_case)
    row("下限:一个新存储槽 [dim]floor: one new slot[/]", findings.floor.one_slot)
    console.print(table)
    node = findings.node
    console.print(f"[dim]{node.client} · chain {node.chain_id} · {node.hardfork or '?'} · {findings.at:%Y-%m-%d}[/]")
    for limit in limits.values():
        if limit.within:
            console.print(f"[green]✓[/] {limit.name} {limit.measured:,} ≤ {limit.most:,}")
        else:
            console.print(
                f"[red]✗ 超出预算 over the budget: {limit.name} {limit.measured:,} > {limit.most:,}[/]", soft_wrap=True
            )
