from __future__ import annotations

import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from orchestrator.bench.report import Findings, a_case, print_findings


def printed(findings: Findings) -> str:
    out = io.StringIO()
    print_findings(Console(file=out, width=140, force_terminal=False), findings)
    return out.getvalue()


def test_document__a_run__the_promised_keys_and_figures(findings: Findings) -> None:
    document = findings.document()
    assert document["ours"]["decided_at_once_1"] == 360_000
    assert document["ours"]["decided_at_once_256"] == 28_000
    assert document["ours"]["two_batches_1"] == 440_000
    assert document["ours"]["two_batches_256"] == 38_000
    assert document["ours"]["two_batches_heads_in_both_256"] == 39_000
    assert document["eas"]["multiattest_per_case"] == 996_000
    assert document["eas"]["multiattest_per_attestation"] == 166_000
    assert document["floor"] == {"one_slot": 22_400, "changed_slot": 5_500}
    assert document["ratio_to_eas"] == pytest.approx(996 / 28, abs=0.001)
    assert document["ratio_to_floor"] == 1.25
    assert document["node"] == {"client": "anvil/v1.7.1", "chain_id": 31337, "hardfork": "Prague"}
    assert document["date"] == "2026-11-23T10:00:00+00:00"


def test_budget__within__every_line_holds(findings: Findings) -> None:
    document = findings.document()
    assert document["within_budget"] is True
    assert {name: each["limit"] for name, each in document["budget"].items()} == {
        "decided_at_once_256": 29_000,
        "two_batches_256": 38_500,
        "largest_transaction": 16_777_216,
    }


def test_budget__one_gas_over__that_line_broken(over: Findings) -> None:
    assert [each.name for each in over.budget() if not each.within] == ["decided_at_once_256"]
    assert over.document()["within_budget"] is False


def test_budget__two_batches_over__that_line_broken(findings: Findings) -> None:
    largest = replace(findings.batches[-1], decided=256 * 10_500 + 1)
    found = replace(findings, batches=[findings.batches[0], largest])
    assert [each.name for each in found.budget() if not each.within] == ["two_batches_256"]


@pytest.mark.parametrize("part", ["at_once", "accepted", "decided"])
def test_budget__transaction_beyond_eip_7825__that_line_broken(findings: Findings, part: str) -> None:
    small = replace(findings.batches[0], **{part: 16_777_217})
    found = replace(findings, batches=[small, findings.batches[1]])
    assert [each.name for each in found.budget() if not each.within] == ["largest_transaction"]


@given(st.integers(1, 2**40), st.integers(1, 1000))
def test_a_case__any__never_less_than_its_share(gas: int, cases: int) -> None:
    assert gas <= a_case(gas, cases) * cases < gas + cases


def test_print__within__figures_and_no_alarm(findings: Findings) -> None:
    text = printed(findings)
    for part in ("28,000", "38,000", "996,000", "22,400", "35.6", "1.25", "≤ 29,000", "anvil/v1.7.1", "31337"):
        assert part in text
    assert "✗" not in text


def test_print__over__says_which_line_and_by_what(over: Findings) -> None:
    text = printed(over)
    assert "✗ 超出预算 over the budget: decided_at_once_256 29,001 > 29,000" in text
    assert "✓ two_batches_256 38,000 ≤ 38,500" in text
