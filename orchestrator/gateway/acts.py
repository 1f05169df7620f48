"""Acts (留痕): what an officer did at the desk, signed by the department and bound to the officer's login.

Every act is written down with the request that the officer signed for it, under a signature of the seat's evidence key over
both: the department cannot say later that nobody did it or that somebody else did, nor can the officer.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final, Literal

from orchestrator.domain.errors import Refused
from orchestrator.gateway.seat import Seat
from orchestrator.protocol.jose import jws_hash, lowered, peek_jws, sign_jws, verify_jws
from orchestrator.protocol.officer import DESK_TYP, OfficerCertificate, read_certificate
from orchestrator.protocol.ports import SeatView
from orchestrator.protocol.wire import is_int, seat_ref

TYP: Final = "lianban-act+jwt"

Act = Literal[
    "look", "replay", "decide", "countersign", "send-back", "revoke", "uphold", "correction-look", "correct", "reject"
]


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


def read_act(signed: str, request: str, seat: SeatView) -> Mapping[str, Any]:
    """An act as `record` signs it, with the request that it is about, if the seat and an officer whom it had certified then
    signed them.

    Raises Refused: "bad-signature", "wrong-issuer", "expired", "other-act" when the request is another one or another
    officer's; Invalid for a faulty certificate.
    """
    act = verify_jws(signed, typ=TYP, jwk=seat.key_of("evidence", signed))
    asked = peek_jws(request)[1]
    token, at = str(asked.get("certificate")), asked.get("iat")
    certified_by = seat.key_of("evidence", token)
    certificate = read_certificate(token, seat=seat.number, jwk=certified_by, now=at if is_int(at) else 0)
    verify_jws(request, typ=DESK_TYP, jwk=certificate.cnf.jwk)
    officer = {"login": certificate.sub, "kid": certificate.kid}
    if (act.get("iss"), act.get("request"), act.get("officer")) != (seat_ref(seat.number), jws_hash(request), officer):
        raise Refused("留痕与经办人所签不符", detail_en="the act is not what the officer signed", code="other-act")
    return act
