"""What a gateway's public query log answers to anybody: heads, inclusion and consistency proofs, entries in hashes."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Final, Self

import httpx

from orchestrator.domain.canonical import from_hex
from orchestrator.domain.errors import Refused, Unavailable

SECONDS: Final = 10.0
"""How long a gateway may take."""

MOST_ENTRIES: Final = 1000
"""Entries that are asked for at once."""


class PublicLog:
    """One gateway's log. Every method raises Unavailable when it does not answer, or not as specified, and Refused when it
    says no: both are for the caller to judge."""

    def __init__(self, url: str, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.AsyncClient(timeout=SECONDS, trust_env=False, transport=transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def head(self) -> dict[str, Any]:
        """The head now: size, root, the seat's signature, its dated statement. Nothing in it is checked."""
        return await self._ask("/log/head")

    async def consistency(self, first: int, second: int) -> list[bytes]:
        """What it gives as proof that the log of size `second` extends that of size `first`."""
        return _nodes((await self._ask("/log/consistency", first=first, second=second)).get("proof"))

    async def inclusion(self, index: int, size: int) -> tuple[str, list[bytes]]:
        """What it gives as an entry, and as its path under the head of `size`."""
        given = await self._ask("/log/inclusion", index=index, size=size)
        return _text(given.get("entry")), _nodes(given.get("path"))

    async def entries(self, first: int, count: int) -> list[str]:
        """What it gives as the entries from `first` on, `count` of them or fewer, as many as it gives at once."""
        given = (await self._ask("/log/entries", first=first, count=min(count, MOST_ENTRIES))).get("entries")
        if not isinstance(given, list):
            raise _malformed()
        return [_text(each) for each in given[:count]]

    async def _ask(self, path: str, **query: int) -> dict[str, Any]:
        try:
            answer = await self._http.get(self.url + path, params=query)
            content = answer.json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise self._silent(type(error).__name__) from None
        if not isinstance(content, dict):
            raise _malformed()
        if answer.status_code >= 500 or answer.status_code == 429:
            raise self._silent(str(answer.status_code))
        if answer.status_code != 200:
            raise Refused(
                str(content.get("title", "网关拒绝")),
                detail_en=str(content.get("detail", answer.status_code)),
                code=str(content.get("code", "gateway-refused")),
                remedy=str(content.get("remedy", "")),
            )
        return content

    def _silent(self, why: str) -> Unavailable:
        return Unavailable(
            "部门网关没有应答",
            detail_en=f"the gateway did not answer: {why}",
            code="gateway-down",
            remedy=f"核对 {self.url},或用 --gateway 另指地址 / check {self.url}, or name another with --gateway",
        )


def _nodes(value: object) -> list[bytes]:
    if not isinstance(value, list):
        raise _malformed()
    try:
        return [from_hex(node) for node in value]
    except (ValueError, TypeError, AttributeError):
        raise _malformed() from None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _malformed()
    return value


def _malformed() -> Unavailable:
    return Unavailable("网关应答格式不正确", detail_en="the gateway's answer is malformed", code="bad-proof")
