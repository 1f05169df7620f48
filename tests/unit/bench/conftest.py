"""Findings as a run makes them, with figures that are easy to reckon with."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from orchestrator.bench.floor import Floor
from orchestrator.bench.report import BatchFigures, EasFigures, Findings, Node


@pytest.fixture
def findings() -> Findings:
    return Findings(
        batches=[
            BatchFigures(cases=1, at_once=360_000, accepted=330_000, decided=110_000),
            BatchFigures(cases=256, at_once=256 * 28_000, accepted=256 * 28_000, decided=256 * 10_000),
        ],
        heads_again=256 * 39_000,
        heads_alone=300_000,
        eas=EasFigures(package="1.9.0", cases=250, batch=100, attestations=1500, gas=250 * 996_000),
        floor=Floor(one_slot=22_400, changed_slot=5_500),
        node=Node(client="anvil/v1.7.1", chain_id=31337, hardfork="Prague"),
        at=datetime(2026, 11, 23, 10, 0, tzinfo=UTC),
    )


@pytest.fixture
def over(findings: Findings) -> Findings:
    """One gas too much in the largest batch, once shared out and rounded up."""
    largest = replace(findings.batches[-1], at_once=256 * 29_000 + 1)
    return replace(findings, batches=[findings.batches[0], largest])
