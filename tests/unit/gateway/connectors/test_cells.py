"""Cells: what files, JSON and drivers give, made into the types of columns."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.gateway.connectors.cells import cell

KINDS = ["char(18)", "varchar(5)", "text", "integer", "bigint", "numeric(12,2)", "numeric(30,0)", "date", "boolean"]


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        ("char(18)", " 110199198806120116 ", "110199198806120116"),
        ("char(3)", 110, "110"),
        ("char(3)", 110.0, "110"),
        ("text", "", None),
        ("text", "  ", None),
        ("text", None, None),
        ("integer", "42", 42),
        ("integer", "42.0", 42),
        ("integer", 42.0, 42),
        ("bigint", "-9223372036854775808", -(2**63)),
        ("numeric(12,2)", "1234567.5", "1234567.50"),
        ("numeric(12,2)", 0.1 + 0.2, "0.30"),
        ("numeric(12,2)", Decimal("10.500"), "10.50"),
        ("numeric(12,2)", 7, "7.00"),
        ("numeric(12,2)", "1.2e3", "1200.00"),
        ("date", "20260302", "2026-03-02"),
        ("date", 20260302, "2026-03-02"),
        ("date", "2026-03-02", "2026-03-02"),
        ("date", "2026/3/2", "2026-03-02"),
        ("date", "2026年3月2日", "2026-03-02"),
        ("date", "2026-03-02 00:00:00", "2026-03-02"),
        ("date", "2026-03-02T00:00:00", "2026-03-02"),
        ("date", "2026-03-01T16:30:00Z", "2026-03-02"),  # the day in Beijing
        ("date", datetime(2026, 3, 1, 16, 30, tzinfo=UTC), "2026-03-02"),
        ("date", datetime(2026, 3, 2), "2026-03-02"),
        ("date", date(2026, 3, 2), "2026-03-02"),
        ("boolean", "是", True),
        ("boolean", 0, False),
        ("boolean", "T", True),
    ],
)
def test_cell__what_sources_give__its_value(kind: str, raw: Any, value: Any) -> None:
    assert cell(kind, raw) == value
    assert type(cell(kind, raw)) is type(value)


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("char(18)", 1.10199198806120116e17),  # a spreadsheet has rounded it
        ("char(18)", "1.10199E+17"),
        ("char(18)", "1101991988061201160"),
        ("text", "a\0b"),
        ("text", "\ud800"),
        ("text", {"a": 1}),
        ("text", Decimal("1e999999999")),
        ("integer", "1,234"),
        ("integer", "一"),
        ("integer", "٣"),
        ("integer", "2147483648"),
        ("integer", True),
        ("integer", 1.5),
        ("integer", float("inf")),
        ("numeric(12,2)", "1.005"),
        ("numeric(12,2)", "12345678901"),
        ("numeric(12,2)", float("nan")),
        ("numeric(12,2)", Decimal("NaN")),
        ("numeric(12,2)", "1e999"),
        ("numeric(12,2)", Decimal("1e999999999")),
        ("numeric(12,2)", True),
        ("date", "20260230"),
        ("date", "03/02/2026"),
        ("date", 46083.0),
        ("date", "0000-00-00"),
        ("boolean", "maybe"),
        ("boolean", 2),
        ("boolean", 1.0),
    ],
)
def test_cell__no_such_thing__value_error_without_the_value(kind: str, raw: Any) -> None:
    with pytest.raises(ValueError) as caught:
        cell(kind, raw)

    assert len(str(raw)) < 5 or str(raw) not in str(caught.value)


RAW = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.decimals(), st.text(), st.dates(), st.datetimes(),
    st.datetimes(timezones=st.timezones()), st.lists(st.integers(), max_size=2),
)  # fmt: skip


@given(st.sampled_from(KINDS), RAW)
def test_cell__anything__a_value_or_value_error(kind: str, raw: Any) -> None:
    try:
        value = cell(kind, raw)
    except ValueError:
        return
    assert value is None or cell(kind, value) == value  # and its own value stays what it is


@given(st.decimals(min_value="-9999999999.99", max_value="9999999999.99", places=2))
def test_cell__decimals__keep_every_digit(value: Decimal) -> None:
    assert Decimal(str(cell("numeric(12,2)", str(value)))) == value
    assert Decimal(str(cell("numeric(12,2)", value))) == value


@given(st.dates())
def test_cell__dates__however_written(day: date) -> None:
    written = [day.isoformat(), f"{day:%Y%m%d}".zfill(8), f"{day.year:04}/{day.month}/{day.day}"]

    assert {cell("date", each) for each in written} == {day.isoformat()}
