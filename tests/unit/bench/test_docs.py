"""The measured figures in the docs are those of the run that is committed beside them."""

from __future__ import annotations

import json
import re
from pathlib import Path

from orchestrator.bench.report import AT_ONCE_LIMIT, TWO_BATCHES_LIMIT

DOCS = Path(__file__).parents[3] / "docs"


def test_docs__table__as_in_the_committed_run() -> None:
    run = json.loads((DOCS / "bench" / "gas.json").read_text("utf-8"))
    text = (DOCS / "bench.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| .*`(\S+)` \| \**([\d,]+)\** \|", text, re.MULTILINE))
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
