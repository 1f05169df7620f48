"""Acts (留痕): what an officer did at the desk, signed by the department and bound to the officer's login.

Every act is written down with the request that the officer signed for it, under a signature of the seat's evidence key over
both: the department cannot say later that nobody did it or that somebody else did, nor can the officer.
"""

from __future__ import annotations

import time
from typing import Final, Literal

from orchestrator.gateway.seat import Seat
from orchestrator.protocol.jose import jws_hash, lowered, sign_jws
from orchestrator.protocol.officer import OfficerCertificate
from orchestrator.protocol.wire import seat_ref

TYP: Final = "lianban-act+jwt"

Act = Literal["look", "replay", "decide", "countersign", "send-back", "revoke", "uphold", "correction-look", "correct", "reject"]


async def record(act: Act, case: str, officer: OfficerCertificate, request: str, seat: Seat) -> str:
    """Signs and keeps an act of an officer on a case; `request` is what the officer signed. Returns the signed act."""
    signed = sign_jws(
        {
            "iss": seat_ref(seat.number),
            "act": act,
            "case": case,
            "officer": {"login": officer.sub, "kid": officer.kid},
            "request": jws_hash(lowered(request)),
            "iat": int(time.time()),
        },
        typ=TYP,
        key=seat.keys.evidence,
    )
    await seat.store.rows(
        "insert into desk_act (officer, login, act, case_id, request, signed) values (%s, %s, %s, %s, %s, %s)",
        [officer.kid, officer.sub, act, case, lowered(request), signed],
    )
    return signed
