"""What stands before every request: headers that keep browsers safe, and no writing from foreign pages.

A session is a cookie with SameSite=Lax, so that a foreign *site* cannot send it with a POST. A site is wider than an origin
(other ports and sibling hosts share it, the identity seat's may be one), hence the second rule: a request that changes
something and comes from a page, or with the cookie, has to name our own origin, which no foreign page can do. There are
therefore no tokens in forms. Programs send a bearer token and no cookie, and are not concerned.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orchestrator.api.principals import COOKIE
from orchestrator.problems import problem

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def security_headers(scope: MutableMapping[str, Any]) -> dict[str, str]:
    """Headers of every answer. Nothing from elsewhere, no inline script or style, no frame; forms may lead to the identity
    seat, because browsers hold redirects after a form to `form-action` too."""
    state = getattr(scope["app"].state, "lianban", None)
    identity = f" {_origin(state.identity.issuer)}" if state is not None else ""
    return {
        "Content-Security-Policy": (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
            f"form-action 'self'{identity}; base-uri 'none'; frame-ancestors 'none'"
        ),
        "X-Content-Type-Options": "nosniff",
        # Not no-referrer: browsers then send `Origin: null` with forms, and the rule above could not hold.
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }


class Guard:
    """ASGI middleware: adds the headers, refuses what a foreign page sends."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        added = security_headers(scope)

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in added.items():
                    headers.setdefault(name, value)
            await send(message)

        if scope["method"] not in SAFE and foreign(Headers(scope=scope)):
            refusal = problem(
                403,
                detail="请求不是从本网站发出的",
                detail_en="The request does not come from this website",
                code="foreign-origin",
            )
            await refusal(scope, receive, send_safely)
            return
        await self.app(scope, receive, send_safely)


def foreign(headers: Headers) -> bool:
    """Whether a request that changes something comes from a page of another origin, or cannot be told from one."""
    origin = headers.get("origin")
    if origin is not None:
        return urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
    by_cookie = COOKIE in cookie_parser(headers.get("cookie", ""))
    return by_cookie and "authorization" not in headers


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
