"""A person's own pages as a program reads them: who asked about me, and withdrawing. It posts the forms that a browser posts."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Final, Self

import httpx

from orchestrator.domain.errors import Invalid, Refused, Unavailable

PATH: Final = "/mydata"
_JSON: Final = {"Accept": "application/json"}


class MyDataClient:
    """One person's browser at the identity seat. Use as an async context manager, once signed in by `sign_in`."""

    def __init__(
        self, issuer: str, *, timeout: float = 60.0, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        """`issuer` is the identity seat's address; `timeout` in seconds, since it asks every department meanwhile."""
        self._http = httpx.AsyncClient(base_url=issuer, timeout=timeout, transport=transport, trust_env=False)
        self._csrf = ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def sign_in(self, number: str, passcode: str) -> dict[str, Any]:
        """Signs in; the page. Raises Invalid or Refused with what the page said."""
        self._csrf = (await self._answer("GET"))["csrf"]
        return await self.act("sign-in", number=number, passcode=passcode)

    async def act(self, action: str, **fields: str) -> dict[str, Any]:
        """Posts one action (`look`, `save`, `withdraw`, `receipt`, `sign-out`); the page, or the file."""
        found = await self._answer("POST", data={"csrf": self._csrf, "action": action, **fields})
        self._csrf = found.get("csrf", self._csrf)
        return found

    async def _answer(self, method: str, **content: Any) -> dict[str, Any]:
        try:
            answer = await self._http.request(method, PATH, headers=_JSON, **content)
            body: dict[str, Any] = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise Unavailable(
                "身份席位没有应答", code="identity-down", detail_en="the identity seat does not answer"
            ) from error
        if answer.status_code == 200:
            return body
        first = (body.get("errors") or [body])[0]
        said: dict[str, str] = {
            "detail": str(first.get("detail") or body.get("detail") or "身份席位拒绝了请求"),
            "detail_en": str(first.get("detail_en") or body.get("detail_en") or answer.status_code),
            "code": str(first.get("code") or body.get("code") or "refused"),
            "remedy": str(first.get("remedy") or ""),
        }
        if first.get("field"):
            raise Invalid(field=str(first["field"]), **said)
        raise Refused(said["detail"], detail_en=said["detail_en"], code=said["code"], remedy=said["remedy"])
