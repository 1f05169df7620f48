"""Identifiers of people, organisations, bank cards and licences, and their check digits.

The `…_problem` functions return None for a well-formed identifier and otherwise what is wrong, Chinese first, without
repeating the identifier: it is personal data.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Final

from stdnum.iso7064 import mod_37_36

_CITIZEN_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CITIZEN_CHECKS: Final = "10X98765432"
_USCC_ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC_WEIGHTS: Final = tuple(pow(3, place, 31) for place in range(17))
_ORGANISATION_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ORGANISATION_WEIGHTS: Final = (3, 7, 9, 10, 5, 8, 4, 2)
_LICENCE_ROOT: Final = "1.2.156.3005.2"


def citizen_number_problem(number: str) -> str | None:
    """GB 11643-1999: 18 characters, a real date of birth, check character by ISO 7064 MOD 11-2.

    The first six digits are not compared with today's regions: they say where a number was given out, perhaps by a
    county long gone, and nothing about where a person is registered or lives.
    """
    if not re.fullmatch(r"[1-9][0-9]{16}[0-9X]", number):
        return "公民身份号码应为 18 位,末位为数字或大写 X / A citizen number has 18 characters, the last a digit or X"
    try:
        born = date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        born = None
    if born is None or born.year < 1850:
        return "公民身份号码中的出生日期不存在 / The date of birth in the citizen number does not exist"
    total = sum(weight * int(digit) for weight, digit in zip(_CITIZEN_WEIGHTS, number, strict=False))
    if number[17] != _CITIZEN_CHECKS[total % 11]:
        return "公民身份号码校验位不正确 / The check character of the citizen number is wrong"
    return None


def uscc_problem(code: str) -> str | None:
    """GB 32100-2015: 18 characters, check character MOD 31; the organisation part by GB 11714-1997, MOD 11."""
    if not re.fullmatch(r"[0-9A-HJ-NPQRTUWXY]{2}[0-9]{6}[0-9A-HJ-NPQRTUWXY]{10}", code):
        return (
            "统一社会信用代码应为 18 位数字或大写字母(不含 I、O、S、V、Z) / "
            "A unified social credit code has 18 digits or capital letters (no I, O, S, V, Z)"
        )
    total = sum(weight * _USCC_ALPHABET.index(sign) for weight, sign in zip(_USCC_WEIGHTS, code, strict=False))
    if code[17] != _USCC_ALPHABET[-total % 31]:
        return "统一社会信用代码校验位不正确 / The check character of the unified social credit code is wrong"
    organisation = code[8:17]
    total = sum(
        weight * _ORGANISATION_ALPHABET.index(sign)
        for weight, sign in zip(_ORGANISATION_WEIGHTS, organisation, strict=False)
    )
    if organisation[8] != "0123456789X0"[11 - total % 11]:
        return "统一社会信用代码中的主体标识码校验位不正确 / The check character of the organisation part is wrong"
    return None


def bank_card_problem(number: str) -> str | None:
    """ISO/IEC 7812: 16 to 19 digits, Luhn. Says nothing about whether the account exists or whose it is."""
    if not re.fullmatch(r"[0-9]{16,19}", number):
        return "银行卡号应为 16 至 19 位数字 / A bank card number has 16 to 19 digits"
    doubled = (2 * int(digit) for digit in number[-2::-2])
    total = sum(map(int, number[-1::-2])) + sum(value - 9 if value > 9 else value for value in doubled)
    if total % 10:
        return "银行卡号校验位不正确 / The check digit of the bank card number is wrong"
    return None


def credential_identifier(type_code: str, issuer: str, serial: str, version: str) -> str:
    """The identifier of an electronic licence (证照标识, GB/T 36904):
    `1.2.156.3005.2.<type>.<issuer>.<serial>.<version>.<check>`.

    `type_code` has 21 characters (the definer's USCC and three digits), `issuer` is a USCC, `version` has three digits;
    the check character is ISO 7064 MOD 37,36 over the four parts. Raises ValueError for other shapes.
    """
    if not re.fullmatch(r"[0-9A-Z]{21}", type_code) or not re.fullmatch(r"[0-9A-Z]{18}", issuer):
        raise ValueError("type code or issuer has the wrong shape")
    if not re.fullmatch(r"[0-9A-Z]{1,40}", serial) or not re.fullmatch(r"[0-9]{3}", version):
        raise ValueError("serial or version has the wrong shape")
    check = mod_37_36.calc_check_digit(type_code + issuer + serial + version)
    return f"{_LICENCE_ROOT}.{type_code}.{issuer}.{serial}.{version}.{check}"


def credential_identifier_problem(identifier: str) -> tuple[str, str] | None:
    """What is wrong with an electronic licence's identifier (GB/T 36904), in both languages; None for a well-formed one."""
    found = re.fullmatch(
        rf"{re.escape(_LICENCE_ROOT)}\.([0-9A-Z]{{21}})\.([0-9A-Z]{{18}})\.([0-9A-Z]{{1,40}})\.([0-9]{{3}})\.[0-9A-Z]",
        identifier,
    )
    if found is None:
        return "各段长度或字符不对", "its parts have wrong lengths or characters"
    if credential_identifier(found[1], found[2], found[3], found[4]) != identifier:
        return "校验位不正确", "the check character is wrong"
    return None
