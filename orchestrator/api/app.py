"""The portal's HTTP service: parse, call, render. Pages are in `portal`, work is done by the pipeline."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import FastAPI

from orchestrator import problems
from orchestrator.api import applications, cases, contests, operations, scenarios
from orchestrator.api.state import State

API_BODY_LIMIT = 8 * 1024 * 1024
"""Bytes: an application carries its sealed materials."""


class DescribedApi(FastAPI):
    """An application whose OpenAPI document holds the schema of a problem."""

    def openapi(self) -> dict[str, Any]:
        """The document of OpenAPI 3.1."""
        document = super().openapi()
        document["components"]["schemas"]["Problem"] = problems.SCHEMA
        return document


def create_app(opened: Callable[[], AbstractAsyncContextManager[State]]) -> FastAPI:
    """The application; `opened` opens what it works with and closes it again."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with opened() as state:
            app.state.lianban = state
            yield

    app = DescribedApi(
        title="链办 Lianban",
        version="0.1.0",
        description="政务服务链上办理 / government services, handled on chain",
        lifespan=lifespan,
        docs_url=None,  # it would load scripts from elsewhere; the portal renders the document itself
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        responses={"default": problems.DESCRIBED},
    )
    problems.install(app, body_limit=API_BODY_LIMIT)
    app.include_router(scenarios.router)
    app.include_router(applications.router)
    app.include_router(cases.router)
    app.include_router(contests.router)
    app.include_router(operations.router)
    return app
