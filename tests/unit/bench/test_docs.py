"""The measured figures in the docs are those of the run that is committed beside them."""

from __future__ import annotations

import json
import re
from pathlib import Path

from orchestrator.bench.report import AT_ONCE_LIMIT, TWO_BATCHES_LIMIT
from orchestrator.bench.throughput_report import LEAST_ANSWERS, MOST_MEMORY

DOCS = Path(__file__).parents[3] / "docs"


def test_docs__table__as_in_the_committed_run() -> None:
    run = json.loads((DOCS / "bench" / "gas.json").read_text("utf-8"))
    text = (DOCS / "bench.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| .*`(\S+\.\S+)` \| \**([\d,]+)\** \|", text, re.MULTILINE))
    assert len(rows) == 12
    for key, shown in rows.items():
        part, _, name = key.partition(".")
        assert shown == f"{run[part][name]:,}", f"run lianban bench gas --json docs/bench/gas.json and correct {key}"
    assert run["date"][:10] in text
    assert f"{run['ratio_to_eas']:.1f}" in text
    assert f"{run['ratio_to_floor']:.2f}" in text


def test_docs__committed_run__within_the_budget_of_now() -> None:
    run = json.loads((DOCS / "bench" / "gas.json").read_text("utf-8"))
    assert run["within_budget"]
    limits = {name: each["limit"] for name, each in run["budget"].items()}
    assert limits["decided_at_once_256"] == AT_ONCE_LIMIT
    assert limits["two_batches_256"] == TWO_BATCHES_LIMIT


def test_docs__chart__shows_the_committed_run() -> None:
    run = json.loads((DOCS / "bench" / "gas.json").read_text("utf-8"))
    chart = (DOCS / "bench" / "gas.svg").read_text("utf-8")
    for value in (run["ours"]["decided_at_once_256"], run["eas"]["multiattest_per_case"], run["floor"]["one_slot"]):
        assert f">{value:,}<" in chart


def test_docs__gateway_table__as_in_the_committed_run() -> None:
    run = json.loads((DOCS / "bench" / "gateway.json").read_text("utf-8"))
    text = (DOCS / "bench.md").read_text("utf-8")
    rows = re.findall(r"^\| [^|`]*`([a-z-]+)` \| (\d+) \| ([\d,]+) \| ([\d,]+) \| ([\d.]+) \|", text, re.MULTILINE)
    assert {row[0] for row in rows} == run["departments"].keys()
    for name, per_case, answers, per_cpu, share in rows:
        found = run["departments"][name]
        shown = (per_case, answers, per_cpu, share)
        assert shown == (
            str(found["questions_per_case"]),
            f"{found['answers_per_second']:,.0f}",
            f"{found['answers_per_cpu_second']:,.0f}",
            f"{found['core_share']:.2f}",
        ), f"run lianban bench gateway --json docs/bench/gateway.json and correct {name}"
    assert f"| {run['answers_per_second']:,.0f} | {run['answers_per_cpu_second']:,.0f} |" in text
    assert run["date"][:10] in text


def test_docs__committed_gateway_run__durable_checked_and_within_the_budget_of_now() -> None:
    run = json.loads((DOCS / "bench" / "gateway.json").read_text("utf-8"))
    assert run["within_budget"]
    assert run["budget"]["slowest_department"]["least"] == LEAST_ANSWERS
    assert run["budget"]["resident_mb"]["most"] == MOST_MEMORY
    assert run["machine"]["postgresql_durable"]
    assert run["workload"]["answers_verified"] >= sum(each["questions"] for each in run["departments"].values())
    assert min(each["seconds"] for each in run["departments"].values()) >= 10
