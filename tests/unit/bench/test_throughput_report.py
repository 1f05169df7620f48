from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from orchestrator.bench.asking import Measured, Sizes
from orchestrator.bench.cores import Cores
from orchestrator.bench.throughput_report import (
    LEAST_ANSWERS,
    MOST_MEMORY,
    Throughput,
    Workload,
    percentile,
    print_throughput,
)
from orchestrator.seeding.city import Population

MARKET = Measured(
    department="market",
    questions_per_case=3,
    questions=6_000,
    seconds=10.0,
    cpu_seconds=6.0,
    batch=256,
    batch_ms=[256.0, 512.0],
    single_ms=[5.0],
    resident_mb=150.04,
    verified=8_000,
)
TITLES = replace(
    MARKET,
    department="titles",
    questions_per_case=1,
    questions=5_000,
    cpu_seconds=8.0,
    batch_ms=[1024.0],
    single_ms=[7.0, 9.0],
    resident_mb=200.0,
    verified=6_000,
)


def found(*measured: Measured) -> Throughput:
    return Throughput(
        measured=measured or (MARKET, TITLES),
        workload=Workload(scenario="s", situation="t", sizes=Sizes(), population=Population(), cases=9_000),
        machine={"processor": "a processor", "load_average_before": 0.1},
        cores=Cores(measured=1, others=frozenset({0})),
        at=datetime(2026, 11, 23, 15, 0, tzinfo=UTC),
    )


def printed(throughput: Throughput) -> str:
    out = io.StringIO()
    print_throughput(Console(file=out, width=160, force_terminal=False), throughput)
    return out.getvalue()


def test_document__a_run__the_promised_keys_and_figures() -> None:
    document = found().document()
    # A case asks three questions of one and one of the other: 3/600 s and 1/500 s.
    assert document["answers_per_second"] == round(4 / (3 / 600 + 1 / 500), 1)
    assert document["answers_per_cpu_second"] == round(4 / (3 / 1000 + 1 / 625), 1)
    assert document["latency_ms_per_batch"] == {"p50": 512.0, "p95": 1024.0, "p99": 1024.0}
    assert document["latency_ms_per_question"] == {"p50": 2.0, "p95": 4.0, "p99": 4.0}
    assert document["latency_ms_single_question"] == {"p50": 7.0, "p95": 9.0, "p99": 9.0}
    assert document["resident_mb"] == 200.0
    assert document["departments"]["market"]["answers_per_second"] == 600.0
    assert document["departments"]["titles"]["core_share"] == 0.8
    assert document["workload"]["answers_verified"] == 14_000
    assert document["workload"]["questions_per_case"] == 4
    assert document["machine"]["gateway_core"] == 1
    assert document["machine"]["other_cores"] == [0]
    assert document["within_budget"] is True
    assert document["date"] == "2026-11-23T15:00:00+00:00"


def test_budget__one_slow_department__beyond_though_a_case_is_within() -> None:
    slow = replace(TITLES, questions=3_999)
    document = found(replace(MARKET, questions=60_000), slow).document()
    assert document["answers_per_second"] >= LEAST_ANSWERS
    assert document["budget"]["slowest_department"] == {"measured": 399.9, "least": LEAST_ANSWERS, "within": False}
    assert document["within_budget"] is False
    assert "beyond the budget: slowest_department" in printed(found(MARKET, slow))


def test_budget__exactly_at_the_limits__within() -> None:
    document = found(replace(MARKET, questions=4_000, resident_mb=float(MOST_MEMORY))).document()
    assert document["within_budget"] is True


def test_budget__more_memory_than_allowed__beyond() -> None:
    assert found(replace(MARKET, resident_mb=MOST_MEMORY + 0.1)).document()["within_budget"] is False


def test_print__gateway_got_little_of_its_core__says_that_the_machine_is_busy() -> None:
    crowded = replace(MARKET, questions=2_000, cpu_seconds=1.0)
    assert "got 10% of their core" in printed(found(crowded))
    assert "of their core" not in printed(found(replace(MARKET, questions=2_000, cpu_seconds=9.0)))
    assert "of their core" not in printed(found())


@given(st.lists(st.floats(min_value=0, max_value=1e6), min_size=1), st.sampled_from([50, 95, 99, 100]))
def test_percentile__any_values__smallest_that_so_many_do_not_exceed(values: Sequence[float], percent: int) -> None:
    chosen = percentile(values, percent)
    assert chosen in values
    assert sum(value <= chosen for value in values) * 100 >= percent * len(values)
    assert sum(value < chosen for value in values) * 100 < percent * len(values)


@given(
    st.lists(
        st.tuples(st.integers(1, 9), st.integers(1, 10**6), st.floats(min_value=0.1, max_value=100)),
        min_size=1,
        max_size=9,
    )
)
def test_answers_per_second__any_departments__between_slowest_and_fastest(
    runs: Sequence[tuple[int, int, float]],
) -> None:
    throughput = found(
        *(
            replace(MARKET, questions_per_case=per_case, questions=questions, seconds=seconds)
            for per_case, questions, seconds in runs
        )
    )
    rates = [questions / seconds for _, questions, seconds in runs]
    assert min(rates) == throughput.slowest_rate
    assert min(rates) <= throughput.answers_per_second * (1 + 1e-9)
    assert throughput.answers_per_second <= max(rates) * (1 + 1e-9)


@pytest.mark.parametrize("measured", [None, 1])
def test_print__bound_or_not__says_so(measured: int | None) -> None:
    throughput = replace(found(), cores=Cores(measured=measured, others=frozenset()))
    assert ("not bound to a core" in printed(throughput)) == (measured is None)
