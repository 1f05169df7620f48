"""Identifiers that are valid by their standards and belong to nobody."""

from __future__ import annotations

from datetime import date

from orchestrator.domain.errors import Invalid

REGION = "110199"
"""Region of all citizen numbers here; GB/T 2260 does not assign it."""

_CITIZEN_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ORGANISATION = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ORGANISATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
_CREDIT = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_CREDIT_WEIGHTS = tuple(pow(3, i, 31) for i in range(17))


def citizen_number(born: date, sequence: int) -> str:
    """A citizen number (GB 11643-1999). `sequence` is 0–999; odd ones are men's."""
    if not 0 <= sequence <= 999:
        raise Invalid(
            field="sequence",
            detail="顺序码须在 0 到 999 之间",
            detail_en="The sequence number is between 0 and 999",
        )
    body = f"{REGION}{born:%Y%m%d}{sequence:03d}"
    total = sum(weight * int(digit) for weight, digit in zip(_CITIZEN_WEIGHTS, body, strict=True))
    return body + "10X98765432"[total % 11]


def credit_code(kind: str, region: str, organisation: str) -> str:
    """A unified social credit code (GB 32100-2015) over an organisation part (GB 11714-1997).

    `kind` is registrar and category (`91` enterprise, `92` individual business), `organisation` the eight characters
    before that part's check character.
    """
    total = sum(w * _ORGANISATION.index(c) for w, c in zip(_ORGANISATION_WEIGHTS, organisation, strict=True))
    check = "0123456789X0"[(11 - total % 11) % 11]
    body = f"{kind}{region}{organisation}{check}"
    total = sum(weight * _CREDIT.index(char) for weight, char in zip(_CREDIT_WEIGHTS, body, strict=True))
    return body + _CREDIT[(31 - total % 31) % 31]


def organisation_part(block: str, number: int) -> str:
    """Eight characters of an organisation code: a five-character block and a running number below 29 791."""
    digits = ""
    for _ in range(3):
        number, digit = divmod(number, 31)
        digits = _CREDIT[digit] + digits
    if number:
        raise Invalid(
            field="enterprises", detail="企业数量超出号段", detail_en="More enterprises than the block of codes holds"
        )
    return block + digits


def unit_code(parcel: int, unit: int, *, district: str = "110108", kind: str = "F") -> str:
    """A real-estate unit code (GB/T 37346-2019) in the made-up cadastral area 900/900: district, parcel, building, unit."""
    return f"{district}900900GB{parcel:05d}{kind}{unit:08d}"


def title_number(year: int, serial: int) -> str:
    """The number of a title certificate in the Haidian style."""
    return f"京({year})海不动产权第{serial:07d}号"
