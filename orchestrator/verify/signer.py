"""Who says to have signed a paper: the seat that it names, with its keys of all times."""

from __future__ import annotations

from orchestrator.domain.errors import LianbanError, Unavailable
from orchestrator.protocol.jose import peek_jws
from orchestrator.protocol.ports import SeatView
from orchestrator.protocol.wire import seat_number
from orchestrator.verify.report import Report
from orchestrator.verify.trust import Trust


async def signer_of(token: str, report: Report, trust: Trust) -> SeatView | None:
    """The seat that a token's `iss` names. None when it is not known, and then the report says why."""
    try:
        number = seat_number(peek_jws(token)[1].get("iss"))
    except LianbanError:
        report.wrong(
            "读不出由谁签署:文件被改动或不完整", "who signed it cannot be read: it was changed or is not whole"
        )
        return None
    try:
        seat = await trust.seat(number)
    except Unavailable as error:
        report.unchecked(f"查不到签署席位:{error.detail}", f"the signing seat cannot be looked up: {error.detail_en}")
        return None
    except LianbanError as error:
        report.wrong(f"签署席位不存在:{error.detail}", f"there is no such signing seat: {error.detail_en}")
        return None
    if seat is None:
        report.unchecked(
            "手头没有席位公钥,签名未核对:用 --node 与 --deployment,或 --keys",
            "no seat's keys are at hand, so the signature is not checked: give --node and --deployment, or --keys",
        )
    return seat
