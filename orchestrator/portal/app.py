"""The portal: the HTTP API and, in front of it, pages for people."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from orchestrator.api.app import create_app
from orchestrator.api.state import State
from orchestrator.domain.errors import LianbanError
from orchestrator.portal import case_pages, contest_pages, scenario_pages, site_pages
from orchestrator.portal.guard import Guard, security_headers
from orchestrator.portal.render import problem_page, wants_page

STATIC: Final = Path(__file__).parent / "static"

Handler = Callable[[Request, Any], Awaitable[Response]]


def create_portal(opened: Callable[[], AbstractAsyncContextManager[State]]) -> FastAPI:
    """The application with API and pages."""
    app = create_app(opened)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    for router in (scenario_pages.router, case_pages.router, contest_pages.router, site_pages.router):
        app.include_router(router)
    for kind in (LianbanError, RequestValidationError, HTTPException, Exception):
        handler: Any = app.exception_handlers[kind]
        app.add_exception_handler(kind, _for_people(handler))
    app.add_middleware(Guard)
    return app


def _for_people(handler: Handler) -> Handler:
    """Shows a problem as a page to whoever asks for pages; programs get the document."""

    async def handle(request: Request, error: Any) -> Response:
        problem = await handler(request, error)
        if not wants_page(request):
            return problem
        response = problem_page(request, problem)
        # An unexpected error is answered outside of every middleware.
        for name, value in security_headers(request.scope).items():
            response.headers.setdefault(name, value)
        return response

    return handle
