"""Identifiers made for seeding, against python-stdnum and the project's own checks."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.cn import ric, uscc

from orchestrator.domain.errors import Invalid
from orchestrator.domain.identifiers import citizen_number_problem, uscc_problem
from orchestrator.seeding.enterprises import patent_number
from orchestrator.seeding.numbers import REGION, citizen_number, credit_code, organisation_part, unit_code


@given(born=st.dates(date(1930, 1, 1), date(2026, 1, 1)), sequence=st.integers(0, 999))
def test_citizen_number__any_day_and_sequence__valid(born: date, sequence: int) -> None:
    number = citizen_number(born, sequence)

    assert citizen_number_problem(number) is None
    assert ric.calc_check_digit(number) == number[-1]
    assert ric.get_birth_date(number) == born
    assert number.startswith(REGION)


@given(kind=st.sampled_from(["91", "92"]), number=st.integers(0, 29_790))
def test_credit_code__any_organisation__valid(kind: str, number: int) -> None:
    code = credit_code(kind, "110108", organisation_part("MBXYF", number))

    assert uscc.is_valid(code)
    assert uscc_problem(code) is None


def test_organisation_part__numbers_of_a_block__all_different() -> None:
    assert len({organisation_part("MBXYF", number) for number in range(29_791)}) == 29_791


@pytest.mark.parametrize(
    "call", [lambda: organisation_part("MBXYF", 29_791), lambda: citizen_number(date.today(), 1000)]
)
def test_numbers__beyond_their_range__invalid(call: object) -> None:
    with pytest.raises(Invalid):
        call()  # type: ignore[operator]


def test_patent_number__published_examples__same_check_character() -> None:
    # Check characters as printed on granted patents: ZL 2004 1 0018477.9 (ZC 0006-2003's own example).
    assert patent_number(2003, "1", 100_002).startswith("ZL200310100002.")
    assert patent_number(2004, "1", 18_477) == "ZL200410018477.9"


def test_unit_code__any__twenty_eight_characters() -> None:
    assert len(unit_code(1, 2)) == 28
