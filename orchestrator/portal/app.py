"""The portal: the HTTP API and, in front of it, pages for people."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final

from fastapi import FastAPI

from orchestrator.api.app import create_app
from orchestrator.api.state import State

STATIC: Final = Path(__file__).parent / "static"


def create_portal(opened: Callable[[], AbstractAsyncContextManager[State]]) -> FastAPI:
    """The application with API and pages."""
    return create_app(opened)
