"""Problem details (RFC 9457): how every HTTP server of Lianban says no.

`install(app)` gives an application one way to answer errors: our own kinds, faulty bodies, unknown paths and methods,
bodies that are too large, and whatever nobody expected. A problem's body is
`{type, title, title_en, status, detail, detail_en, code, errors: [{field, detail, detail_en, remedy}]}`; `code` is the
stable machine word of the error. An unexpected error says nothing about our inside, and no answer repeats a value that
was sent.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orchestrator.domain.errors import Diverged, Invalid, LianbanError, Refused, Unavailable
from orchestrator.logs import described

MEDIA_TYPE = "application/problem+json"

_TEXT = {"type": "string"}
_FAULT = {
    "type": "object",
    "required": ["field", "detail", "detail_en", "remedy"],
    "properties": {"field": _TEXT, "detail": _TEXT, "detail_en": _TEXT, "remedy": _TEXT},
}
SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "description": "RFC 9457. `code` is the stable machine word; `errors` names fields, never values.",
    "type": "object",
    "required": ["type", "title", "title_en", "status", "detail", "detail_en", "code", "errors"],
    "properties": {
        **dict.fromkeys(("type", "title", "title_en", "detail", "detail_en", "code"), _TEXT),
        "status": {"type": "integer"},
        "errors": {"type": "array", "items": _FAULT},
    },
}
"""JSON Schema of a problem's body."""

DESCRIBED: dict[str, Any] = {
    "description": "不成功 · not done, and why",
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
"""The OpenAPI response that stands for every error."""

BODY_LIMIT = 2 * 1024 * 1024
"""Bytes of a request's body that a server reads unless it says otherwise."""

DISCARDED = 64 * 1024 * 1024
"""Bytes of a body over its limit that are read and thrown away before the answer."""

DISCARD_SECONDS = 10.0
"""For how long."""

TITLES: dict[int, tuple[str, str]] = {
    400: ("请求无法解析", "The request cannot be parsed"),
    401: ("需要登录", "Sign in first"),
    403: ("请求被拒绝", "Refused"),
    404: ("未找到", "Not found"),
    405: ("不支持该方法", "Method not allowed"),
    409: ("与当前状态冲突", "Conflict with the current state"),
    413: ("请求体过大", "The body is too large"),
    415: ("不支持的内容类型", "Unsupported content type"),
    422: ("内容有误", "The content is wrong"),
    429: ("请求过于频繁", "Too many requests"),
    500: ("内部错误", "Internal error"),
    503: ("暂时无法服务", "Temporarily unavailable"),
}

STATUS_OF_CODE: dict[str, int] = {
    "not-found": 404,
    "unknown-scenario": 404,
    "unknown-state": 400,
    "case-closed": 409,
    "request-in-progress": 409,
    "idempotency-key-reused": 422,
    "not-settled": 404,
    "unknown-seat": 404,
    "unknown-version": 404,
    "not-signed-in": 401,
    "conflict": 409,
    "contested-before": 409,
    "not-answered": 409,
    "replayed": 409,
    "too-large": 413,
    "too-many": 413,
    "too-often": 429,
}
"""Codes of `Refused` and `Invalid` whose HTTP status is not the one of their kind."""

_log = structlog.get_logger(__name__)


def problem(
    status: int,
    *,
    detail: str = "",
    detail_en: str = "",
    code: str = "",
    errors: Sequence[Mapping[str, str]] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """One problem document as a response."""
    title, title_en = TITLES.get(status, TITLES[500 if status >= 500 else 400])
    body: dict[str, Any] = {
        "type": f"urn:lianban:problem:{code or status}",
        "title": title,
        "title_en": title_en,
        "status": status,
        "detail": detail or title,
        "detail_en": detail_en or title_en,
        "code": code or str(status),
        "errors": [dict(error) for error in errors],
    }
    return Response(orjson.dumps(body), status_code=status, media_type=MEDIA_TYPE, headers=dict(headers or {}))


def status_of(error: LianbanError) -> int:
    """The HTTP status of one of our own errors: by its code when that has one, else by its kind."""
    if error.code in STATUS_OF_CODE:
        return STATUS_OF_CODE[error.code]
    if isinstance(error, Invalid):
        return 422
    if isinstance(error, Refused):
        return 403
    if isinstance(error, Unavailable | Diverged):
        return 503
    return 500


def problem_of(error: LianbanError) -> Response:
    """The problem document of one of our own errors."""
    status = status_of(error)
    errors: list[dict[str, str]] = []
    if isinstance(error, Invalid):
        errors = [{"field": error.field, "detail": error.detail, "detail_en": error.detail_en, "remedy": error.remedy}]
    elif error.remedy:
        errors = [{"field": "", "detail": error.detail, "detail_en": error.detail_en, "remedy": error.remedy}]
    headers = {"Retry-After": "5"} if status == 503 else {}
    return problem(
        status, detail=error.detail, detail_en=error.detail_en, code=error.code, errors=errors, headers=headers
    )


def install(app: FastAPI, *, body_limit: int = BODY_LIMIT) -> None:
    """Makes `app` answer every error as a problem and read at most `body_limit` bytes of a body."""

    @app.exception_handler(LianbanError)
    async def own(_request: Request, error: LianbanError) -> Response:
        return problem_of(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> Response:
        return _faulty_body(error)

    @app.exception_handler(HTTPException)
    async def http(_request: Request, error: HTTPException) -> Response:
        return problem(error.status_code, headers=error.headers)

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> Response:
        _log.error("unexpected", route=_route(request.scope), **described(error))
        return problem(500, code="internal")

    app.add_middleware(BodyLimit, limit=body_limit)
    app.add_middleware(Unexpected)


def _route(scope: Scope) -> str:
    """The pattern of the path that was called: the path itself may hold an identifier."""
    return str(getattr(scope.get("route"), "path", ""))


def _faulty_body(error: RequestValidationError) -> Response:
    """Broken JSON is 400; a body of the wrong shape is 422 and names each field, never its value."""
    faults = error.errors()
    if any(fault["type"] == "json_invalid" for fault in faults):
        return problem(400, detail="请求体不是有效的 JSON", detail_en="The body is not valid JSON", code="broken-json")
    errors = [
        {
            "field": ".".join(str(part) for part in fault["loc"] if part != "body"),
            "detail": "字段有误",
            "detail_en": _sentence(fault),
            "remedy": "请按接口说明更正后重试 / correct the field as the interface describes",
        }
        for fault in faults[:20]
    ]
    return problem(422, code="invalid", errors=errors)


def _sentence(fault: Mapping[str, Any]) -> str:
    """What pydantic says of a fault, except where its sentence could quote what was sent."""
    return "the value is not accepted" if fault["type"] in {"value_error", "assertion_error"} else str(fault["msg"])


class Unexpected:
    """ASGI middleware: answers what nobody expected, and lets nothing of it through to the server, which would print the
    error's message with its traceback."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = False

        async def sent(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, sent)
        except Exception as error:
            response = await scope["app"].exception_handlers[Exception](Request(scope), error)
            # The server closes the connection of an answer that has begun and does not end.
            if not begun:
                await response(scope, receive, send)


class BodyLimit:
    """ASGI middleware: answers 413 instead of handing on a body of more than `limit` bytes.

    What comes after the limit is read and thrown away, up to `DISCARDED` bytes: whoever is still sending when the
    connection closes would see a broken connection instead of the answer.
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if not declared.isdigit() or int(declared) > self.limit:
            await self._discard(receive)
            await self._refuse(scope, receive, send)
            return

        # A chunked body declares nothing, so that it is read here up to the limit before the application starts.
        messages: list[Message] = []
        size = 0
        while True:
            message = await receive()
            messages.append(message)
            if message["type"] != "http.request":
                break
            size += len(message.get("body", b""))
            if size > self.limit:
                messages.clear()
                if message.get("more_body", False):
                    await self._discard(receive)
                await self._refuse(scope, receive, send)
                return
            if not message.get("more_body", False):
                break

        async def replay() -> Message:
            return messages.pop(0) if messages else await receive()

        await self.app(scope, replay, send)

    async def _discard(self, receive: Receive) -> None:
        """Reads the rest of a body that is refused, for a while."""
        size = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DISCARD_SECONDS):
                while size < DISCARDED:
                    message = await receive()
                    size += len(message.get("body", b""))
                    if message["type"] != "http.request" or not message.get("more_body", False):
                        break

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        detail = f"请求体不得超过 {self.limit} 字节"
        detail_en = f"A body has at most {self.limit} bytes"
        response = problem(413, detail=detail, detail_en=detail_en, code="too-large", headers={"Connection": "close"})
        await response(scope, receive, send)
