"""What a gateway's public query log answers to anybody: heads, inclusion and consistency proofs, entries in hashes."""

from __future__ import annotations

from typing import Any

import httpx

from orchestrator.domain.errors import Refused, Unavailable

SECONDS = 10.0
"""How long a gateway may take."""


async def ask_log(url: str, path: str, **query: int) -> dict[str, Any]:
    """What the gateway at `url` answers. Raises Unavailable when it does not, Refused when it says no."""
    try:
        async with httpx.AsyncClient(timeout=SECONDS, trust_env=False) as http:
            answer = await http.get(url.rstrip("/") + path, params=query)
            content: dict[str, Any] = answer.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise Unavailable(
            "部门网关没有应答",
            detail_en=f"the gateway did not answer: {type(error).__name__}",
            code="gateway-down",
            remedy=f"核对 {url},或用 --gateway 另指地址 / check {url}, or name another with --gateway",
        ) from None
    if answer.status_code != 200:
        raise Refused(
            str(content.get("title", "网关拒绝")),
            detail_en=str(content.get("detail", answer.status_code)),
            code=str(content.get("code", "gateway-refused")),
            remedy=str(content.get("remedy", "")),
        )
    return content
