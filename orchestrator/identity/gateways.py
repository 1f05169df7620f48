"""The identity seat's way to the departments' gateways: straight to the addresses in their keysets on chain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import httpx
import orjson

from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.protocol.ports import SeatView

SECONDS: Final = 15.0
"""How long a gateway may take."""


def open_http() -> httpx.AsyncClient:
    """The connections to the gateways."""
    return httpx.AsyncClient(timeout=SECONDS, trust_env=False)


async def post(http: httpx.AsyncClient, seat: SeatView, path: str, body: Mapping[str, Any]) -> bytes:
    """What a gateway answers. Raises Unavailable when it does not, Refused, with its code, when it says no."""
    headers = {"content-type": "application/json"}
    try:
        answer = await http.post(f"{seat.keyset.endpoint}/{path}", content=orjson.dumps(body), headers=headers)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unavailable(
            f"{seat.keyset.name['zh']}的网关没有响应",
            detail_en=f"the gateway of {seat.keyset.id} does not answer ({type(error).__name__})",
            code="gateway-unreachable",
        ) from error
    if answer.is_success:
        return answer.content
    try:
        code = str(orjson.loads(answer.content)["code"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        code = str(answer.status_code)
    kind = Unavailable if answer.status_code >= 500 or answer.status_code == 429 else Refused
    raise kind(
        f"{seat.keyset.name['zh']}的网关拒绝了请求", detail_en=f"the gateway of {seat.keyset.id} says no", code=code
    )
