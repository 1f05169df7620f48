"""OAuth 2.0 client credentials (RFC 6749, section 4.4): one token for all requests, renewed before it ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote_plus

import httpx

from orchestrator.gateway.connectors.connector import SourceFault
from orchestrator.gateway.sources import OAuth2

_UNSAID: Final = 300.0
"""Seconds that a token is taken to last when the server does not say."""
_EARLY: Final = 30.0
"""How long before its end a token is renewed, if it lasts that long."""


class Token:
    """The token of one source. Many requests may wait for the same renewal."""

    def __init__(self, field: str, settings: OAuth2, secret: str, clock: Callable[[], float] = time.monotonic) -> None:
        """`field` is where the settings stand, for messages."""
        self._field = field
        self._settings = settings
        self._secret = secret
        self._clock = clock
        self._lock = asyncio.Lock()
        self._token = ""
        self._until = 0.0

    async def get(self, http: httpx.AsyncClient) -> str:
        """A token that is in force. Raises SourceFault when the server gives none."""
        async with self._lock:
            if not self._token or self._clock() >= self._until:
                await self._renew(http)
            return self._token

    def refused(self, token: str) -> None:
        """The system does not take this token any more: the next request gets a new one."""
        if token == self._token:
            self._token = ""

    async def _renew(self, http: httpx.AsyncClient) -> None:
        settings = self._settings
        form = {"grant_type": "client_credentials"} | ({"scope": settings.scope} if settings.scope else {})
        auth = httpx.Auth()  # none
        if settings.secret_in == "body":
            form |= {"client_id": settings.client_id, "client_secret": self._secret}
        else:  # section 2.3.1: both are form-encoded before they become a Basic header
            auth = httpx.BasicAuth(quote_plus(settings.client_id), quote_plus(self._secret))
        response = await http.post(settings.token_url, data=form, auth=auth, headers={"accept": "application/json"})
        if response.status_code != 200:
            raise self._fault(f"HTTP {response.status_code}")
        try:
            told: Any = response.json()
            token, kind, lasts = told["access_token"], told["token_type"], float(told.get("expires_in", _UNSAID))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise self._fault("no token in the answer") from None
        if (
            not isinstance(token, str)
            or not token.isascii()
            or not token.isprintable()
            or str(kind).lower() != "bearer"
        ):
            raise self._fault("no bearer token in the answer")
        self._token = token
        self._until = self._clock() + lasts - min(_EARLY, lasts / 2)

    def _fault(self, what: str) -> SourceFault:
        return SourceFault(
            f"{self._field}.oauth2",
            f"未取得访问令牌({what})",
            f"there is no access token ({what})",
            "核对 token_url、client_id 与 client_secret_file / check token_url, client_id and client_secret_file",
        )
