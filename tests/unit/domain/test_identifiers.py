"""Check digits of people, organisations, cards and licences, against published numbers and python-stdnum."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import luhn
from stdnum.cn import ric, uscc

from orchestrator.domain.identifiers import (
    bank_card_problem,
    citizen_number_problem,
    credential_identifier,
    credential_identifier_problem,
    uscc_problem,
)

ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
DEPARTMENTS = [
    "11110108MBXY00001Q",
    "11110108MBXY0001XG",
    "11110000MBXY00028P",
    "11110108MBXY00036B",
    "11110108MBXY000446",
    "11110000MBXY000528",
    "11110000MBXY000603",
    "11110000MBXY000790",
    "11110000MBXY00087T",
    "11110108MBXY00095E",
    "11110108MBXY001084",
    "11110108MBXY00116Y",
    "11110108MBXY00124R",
    "11110108MBXY00132L",
    "11110000MBXY00140N",
    "11110000MBXY00159K",
    "11110000MBXY00167E",
]


def with_check(number: str) -> str:
    """17 digits and their check character, from the residue rule of ISO 7064 MOD 11-2 itself."""
    for check in "0123456789X":
        value = 0
        for sign in number + check:
            value = (value * 2 + (10 if sign == "X" else int(sign))) % 11
        if value == 1:
            return number + check
    raise AssertionError


citizen_numbers = st.builds(
    lambda region, day, serial: with_check(f"{region}{day:%Y%m%d}{serial:03d}"),
    st.sampled_from(["110199", "110108", "513030", "810000", "130102", "911156"]),
    st.dates(min_value=date(1900, 1, 1), max_value=date(2099, 12, 31)),
    st.integers(0, 999),
)


@given(citizen_numbers)
def test_citizen_number__well_formed__no_problem(number: str) -> None:
    assert citizen_number_problem(number) is None
    assert ric.calc_check_digit(number) == number[-1]


@given(citizen_numbers, st.integers(0, 17), st.sampled_from("0123456789"))
def test_citizen_number__one_character_changed__problem(number: str, place: int, other: str) -> None:
    changed = number[:place] + other + number[place + 1 :]
    assert (citizen_number_problem(changed) is None) == (changed == number)


def test_citizen_number__example_of_the_standard__no_problem() -> None:
    assert citizen_number_problem("11010519491231002X") is None


@pytest.mark.parametrize(
    "number",
    ["", "11010519491231002x", "1101051949123100", "010105194912310022", "110105194912310021", "１1010519491231002X",
     "11010519491231002X\n", with_check("11019920230229001"), with_check("11019918000101001")],
)  # fmt: skip
def test_citizen_number__malformed__problem_without_the_number(number: str) -> None:
    problem = citizen_number_problem(number)
    assert problem is not None
    assert not number or number not in problem


@pytest.mark.parametrize("code", DEPARTMENTS)
def test_uscc__demo_departments__no_problem(code: str) -> None:
    assert uscc_problem(code) is None
    assert uscc.is_valid(code)


@given(st.sampled_from(DEPARTMENTS), st.integers(0, 17), st.sampled_from(ALPHABET))
def test_uscc__one_character_changed__problem(code: str, place: int, other: str) -> None:
    changed = code[:place] + other + code[place + 1 :]
    assert (uscc_problem(changed) is None) == (changed == code)


def test_uscc__organisation_part_wrong_but_last_character_right__problem() -> None:
    stem = "11110108MBXY00002"  # organisation part ends in 2 where MOD 11 wants another
    assert uscc.is_valid(stem + uscc.calc_check_digit(stem))
    assert uscc_problem(stem + uscc.calc_check_digit(stem)) is not None


@pytest.mark.parametrize(
    "code", ["", "11110108mbxy00001Q", "11110108MBXY00001", "11110108MBXI00001Q", "1A110108MBXY0000"]
)
def test_uscc__malformed__problem(code: str) -> None:
    assert uscc_problem(code) is not None


@given(st.text("0123456789", min_size=14, max_size=20))
def test_bank_card__any_digits__as_luhn_and_length(number: str) -> None:
    assert (bank_card_problem(number) is None) == (16 <= len(number) <= 19 and luhn.is_valid(number))


@given(st.text("0123456789", min_size=15, max_size=18))
def test_bank_card__with_its_check_digit__no_problem(number: str) -> None:
    assert bank_card_problem(number + luhn.calc_check_digit(number)) is None


def test_bank_card__test_numbers__as_stated() -> None:
    assert bank_card_problem("9900000000000010019") is None
    assert bank_card_problem("9900000000000010027") is None
    assert bank_card_problem("9900000000000010018") is not None
    assert bank_card_problem("9900 0000 0000 0010 019") is not None


def test_credential_identifier__demo_gallery__check_character() -> None:
    identifier = credential_identifier("11110108MBXY00036B001", "11110108MBXY00036B", "2020000001", "001")
    assert identifier == "1.2.156.3005.2.11110108MBXY00036B001.11110108MBXY00036B.2020000001.001.N"


@given(st.from_regex(r"[0-9A-Z]{1,40}", fullmatch=True), st.from_regex(r"[0-9]{3}", fullmatch=True))
def test_credential_identifier__any_serial__iso_7064_mod_37_36(serial: str, version: str) -> None:
    *_, check = credential_identifier("11110108MBXY00036B001", "11110108MBXY00036B", serial, version).split(".")
    alphabet, value = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", 36
    for sign in f"11110108MBXY00036B00111110108MBXY00036B{serial}{version}":
        value = (value + alphabet.index(sign)) % 36 or 36
        value = value * 2 % 37
    assert (value + alphabet.index(check)) % 36 == 1


@pytest.mark.parametrize(
    ("type_code", "issuer", "serial", "version"),
    [("1" * 20, "1" * 18, "1", "001"), ("1" * 21, "1" * 17, "1", "001"), ("1" * 21, "1" * 18, "", "001"),
     ("1" * 21, "1" * 18, "1.2", "001"), ("1" * 21, "1" * 18, "1", "1")],
)  # fmt: skip
def test_credential_identifier__other_shapes__refused(type_code: str, issuer: str, serial: str, version: str) -> None:
    with pytest.raises(ValueError):
        credential_identifier(type_code, issuer, serial, version)


@pytest.mark.parametrize(
    ("identifier", "words"),
    [
        ("1.2.156.3005.2.11110108MBXY00036B001.11110108MBXY00036B.2020000001.001.N", None),
        ("1.2.156.3005.2.11110108MBXY00036B001.11110108MBXY00036B.2020000001.001.M", "check character"),
        ("1.2.156.3005.2.11110108MBXY00036B001.11110108MBXY00036B.2020000002.001.N", "check character"),
        ("1.2.156.3005.3.11110108MBXY00036B001.11110108MBXY00036B.2020000001.001.N", "wrong lengths"),
        ("1.2.156.3005.2.11110108MBXY00036B001.11110108MBXY00036B.2020000001.001", "wrong lengths"),
    ],
)
def test_credential_identifier_problem__published_and_changed__named(identifier: str, words: str | None) -> None:
    problem = credential_identifier_problem(identifier)
    assert (problem is None) if words is None else (problem is not None and words in problem[1])
