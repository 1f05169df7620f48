"""The portal: the HTTP API and, in front of it, pages for people."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from fastapi import FastAPI

from orchestrator.api.app import create_app
from orchestrator.api.state import State


def create_portal(opened: Callable[[], AbstractAsyncContextManager[State]]) -> FastAPI:
    """The application with API and pages."""
    return create_app(opened)
