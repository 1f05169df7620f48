"""Cells: a value as a source gives it (text of a file, JSON, a database's own type) made into the type of its column.

Strict on purpose: a number that a spreadsheet has rounded, or a date in no known form, is a fault and not a null, since
null has a meaning of its own ("not removed from the list yet").
"""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Context, Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

Cell = str | int | bool | None
"""Dates as ISO 8601, decimals as text with all their digits."""

_BEIJING: Final = ZoneInfo("Asia/Shanghai")
_TYPE: Final = re.compile(r"(\w+)(?:\((\d+)(?:,(\d+))?\))?")
_WHOLE: Final = re.compile(r"[+-]?[0-9]+(\.0+)?")
_NUMBER: Final = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_ROUNDED: Final = re.compile(r"[+-]?[0-9](\.[0-9]+)?[eE]\+?[0-9]+")
"""What a spreadsheet makes of a long number: 1.10199E+17."""
_DATES: Final = (
    re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})"),
    re.compile(r"([0-9]{4})[-/.]([0-9]{1,2})[-/.]([0-9]{1,2})(?: 0{1,2}:00(?::00)?(?:\.0+)?)?"),
    re.compile(r"([0-9]{4})年([0-9]{1,2})月([0-9]{1,2})日"),
)
_WORDS: Final = {
    **dict.fromkeys(("true", "t", "yes", "y", "1", "是"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0", "否"), False),
}
_DIGITS: Final = Context(prec=1200)
_LARGEST: Final[dict[str, int]] = {"integer": 2**31, "bigint": 2**63}
_EXACT: Final = 10**15
"""Above it a spreadsheet's number has lost digits."""


def cell(kind: str, raw: Any) -> Cell:
    """`raw` as a value of the column type `kind` (`layout.SqlType`). Empty text is null.

    Raises ValueError, without the value in it, for what is no such thing.
    """
    if isinstance(raw, str):
        raw = raw.strip()
    if raw is None or raw == "":
        return None
    match = _TYPE.fullmatch(kind)
    if match is None:
        raise ValueError(kind)
    name, size, scale = match[1], int(match[2] or 0), int(match[3] or 0)
    try:
        return _of(name, size, scale, raw)
    except ArithmeticError:  # a database's NaN, a time zone at the end of time
        raise ValueError(name) from None


def _of(name: str, size: int, scale: int, raw: Any) -> Cell:
    if name in ("char", "varchar", "text"):
        return _text(raw, size)
    if name in _LARGEST:
        return _integer(raw, _LARGEST[name])
    if name == "numeric":
        return _decimal(raw, size, scale)
    return _date(raw) if name == "date" else _boolean(raw)


def _text(raw: Any, size: int) -> str:
    if isinstance(raw, bool):
        text = "true" if raw else "false"
    elif isinstance(raw, int):
        text = str(raw)
    elif isinstance(raw, (float, Decimal)):
        if not -_EXACT < raw < _EXACT and (isinstance(raw, float) or not -(10**40) < raw < 10**40):
            raise ValueError("text")
        text = str(int(raw)) if raw == int(raw) else str(raw)
    elif isinstance(raw, datetime):
        text = raw.isoformat(sep=" ")
    elif isinstance(raw, date):
        text = raw.isoformat()
    elif isinstance(raw, str):
        if size and _ROUNDED.fullmatch(raw):
            raise ValueError("text")
        text = raw
    else:
        raise ValueError("text")
    if (size and len(text) > size) or "\0" in text or any("\ud800" <= each <= "\udfff" for each in text):
        raise ValueError("text")
    return text


def _integer(raw: Any, largest: int) -> int:
    if isinstance(raw, str) and _WHOLE.fullmatch(raw) and len(raw) < 40:
        value = int(raw.partition(".")[0])
    elif isinstance(raw, int) and not isinstance(raw, bool):
        value = raw
    elif isinstance(raw, (float, Decimal)) and -_EXACT < raw < _EXACT and raw == int(raw):
        value = int(raw)
    else:
        raise ValueError("integer")
    if not -largest <= value < largest:
        raise ValueError("integer")
    return value


def _decimal(raw: Any, size: int, scale: int) -> str:
    if isinstance(raw, float) and abs(raw) < _EXACT:  # nan compares false
        value = round(Decimal(repr(raw)), scale)
    elif (isinstance(raw, (int, Decimal)) and not isinstance(raw, bool)) or (
        isinstance(raw, str) and _NUMBER.fullmatch(raw) and len(raw) < 100
    ):
        value = Decimal(raw)
    else:
        raise ValueError("numeric")
    if not value.is_finite() or value.copy_abs() >= Decimal(10) ** (size - scale):
        raise ValueError("numeric")
    exact = value.quantize(Decimal(1).scaleb(-scale), context=_DIGITS)
    if exact != value:
        raise ValueError("numeric")
    return format(exact, "f")


def _date(raw: Any) -> str:
    if isinstance(raw, int) and not isinstance(raw, bool):
        raw = str(raw)
    if isinstance(raw, str):
        for form in _DATES:
            if found := form.fullmatch(raw):
                return date(int(found[1]), int(found[2]), int(found[3])).isoformat()
        raw = datetime.fromisoformat(raw) if len(raw) > 10 else None
    if isinstance(raw, datetime):
        return (raw.astimezone(_BEIJING) if raw.tzinfo else raw).date().isoformat()
    if isinstance(raw, date):
        return raw.isoformat()
    raise ValueError("date")


def _boolean(raw: Any) -> bool:
    if isinstance(raw, bool):
        return raw
    word = str(raw).lower() if isinstance(raw, (str, int)) else ""
    if word not in _WORDS:
        raise ValueError("boolean")
    return _WORDS[word]
