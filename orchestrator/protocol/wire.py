"""What the messages have in common: the spelling of hashes, seats and times, and how a faulty one is refused.

Faults name the field, never its value: values may be personal.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, TypeGuard, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from orchestrator.domain.errors import Invalid, Refused
from orchestrator.domain.suite import SIGNING_KEY
from orchestrator.protocol.jose import check_signing_jwk

CLOCK_SKEW: Final = 30
"""Seconds by which two seats' clocks may differ."""

Hex32 = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-f]{64}$")]
"""32 bytes, `0x` and lower-case digits."""
Address = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-fA-F]{40}$")]
Base64Url = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+$")]
SeatRef = Annotated[str, StringConstraints(pattern=r"^seat:(0|[1-9][0-9]{0,2})$")]
"""`seat:3`: how a seat is named as issuer or audience."""
SeatText = Annotated[str, StringConstraints(pattern=r"^(0|[1-9][0-9]?|1[0-9]{2}|2[0-4][0-9]|25[0-5])$")]
"""A seat's number as the name of a JSON member."""
SeatNumber = Annotated[int, Field(ge=0, le=255)]
BindingNumber = Annotated[int, Field(gt=0, lt=1 << 40)]
Sequence16 = Annotated[int, Field(gt=0, lt=1 << 16)]
Attempt = Annotated[int, Field(gt=0, lt=1 << 32)]
Seconds = Annotated[int, Field(ge=0, lt=1 << 48)]
"""A moment: seconds since 1970-01-01 UTC."""
Name = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x20\x7f]{1,128}$")]
"""A short machine name without spaces or control characters: an item, a role, a row, a material."""
Text = Annotated[str, StringConstraints(min_length=1, max_length=4000)]


def _signing_key(jwk: dict[str, str]) -> dict[str, str]:
    try:
        check_signing_jwk(jwk)
    except Invalid:
        raise ValueError(f"not a {SIGNING_KEY} public key") from None
    if jwk.keys() != {"kty", "crv", "x", "y"}:
        raise ValueError("a holder's key has kty, crv, x and y")
    return jwk


HolderJwk = Annotated[dict[str, str], AfterValidator(_signing_key)]
"""The public P-256 key of a credential's holder, `{kty, crv, x, y}`: to it the credential is bound."""

_SEAT_REF: Final = re.compile(r"seat:(0|[1-9][0-9]{0,2})")
Model = TypeVar("Model", bound=BaseModel)
_Item = TypeVar("_Item")
Listed = Annotated[tuple[_Item, ...], Field(strict=False)]
"""A JSON array, kept as a tuple; its members stay strict."""


class WireModel(BaseModel):
    """Base of everything that comes over the wire: frozen, no unknown fields, no silent conversions."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", hide_input_in_errors=True)


def read_model(model: type[Model], payload: Any, *, code: str) -> Model:
    """`payload` as a `model`. Raises Invalid naming the first faulty field."""
    try:
        return model.model_validate(payload)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
        field = ".".join(str(part) for part in fault["loc"]) or "document"
        raise faulty(field, code=code, detail_en=fault["msg"]) from None


def faulty(field: str, *, code: str, detail_en: str = "not as specified") -> Invalid:
    """The error for a field that is not as docs/architecture.md says."""
    return Invalid(
        field=field,
        detail=f"字段 {field} 不符合规范",
        detail_en=f"{field}: {detail_en}",
        remedy="按 docs/architecture.md「What goes over the wire」修改",
        code=code,
    )


def seat_ref(seat: int) -> str:
    """`seat:<number>`."""
    if not 0 <= seat <= 255:
        raise ValueError("a seat's number is 0 to 255")
    return f"seat:{seat}"


def seat_number(ref: Any) -> int:
    """The number in `seat:<number>`. Raises Invalid(field="iss") for anything else."""
    match = _SEAT_REF.fullmatch(ref) if isinstance(ref, str) else None
    if match is None or int(match[1]) > 255:
        raise faulty("iss", code="bad-seat")
    return int(match[1])


def new_jti() -> str:
    """A nonce of 128 random bits."""
    return secrets.token_urlsafe(16)


def check_period(payload: Mapping[str, Any], *, now: int, longest: int) -> None:
    """Raises Refused unless `iat`–`exp` contains `now` (start with `CLOCK_SKEW`) and lasts no more than `longest`
    seconds.
    """
    iat, exp = payload.get("iat"), payload.get("exp")
    if not is_int(iat) or not is_int(exp) or not iat < exp <= iat + longest:
        raise Refused("有效期不正确", code="bad-period", detail_en="the period of validity is not acceptable")
    if iat > now + CLOCK_SKEW:
        raise Refused("签发时间在未来", code="not-yet-valid", detail_en="issued in the future", remedy="校对时钟")
    if now >= exp:
        raise Refused("已过有效期", code="expired", detail_en="expired", remedy="重新签发")


def is_int(value: object) -> TypeGuard[int]:
    """Whether `value` is a JSON integer (a bool is not)."""
    return isinstance(value, int) and not isinstance(value, bool)


def distinct(values: Iterable[Any]) -> bool:
    """Whether no value comes twice."""
    listed = list(values)
    return len(set(listed)) == len(listed)
