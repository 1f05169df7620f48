"""Logs: JSON lines in which no error's message, value or local variable appears."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import AsyncMock

import httpx
import pytest
from fastapi import FastAPI

from orchestrator.domain.errors import Unavailable
from orchestrator.gateway import server as gateway
from orchestrator.identity import server as identity
from orchestrator.logs import described
from orchestrator.portal.app import create_portal

MARKER = "110199198806120116"

PROGRAM = """
import asyncio, logging, socket, sys
from contextlib import asynccontextmanager
import httpx, structlog, uvicorn
from fastapi import FastAPI
from orchestrator import logs, problems

MARKER = sys.argv[1]
logs.configure()

def fail():
    marker = MARKER
    raise RuntimeError("value " + marker) from ValueError(marker)

app = FastAPI()
problems.install(app)

@app.get("/fail/{number}")
async def route(number: str):
    fail()

async def bare(scope, receive, send):
    if scope["type"] == "http":
        fail()

@asynccontextmanager
async def broken(app):
    fail()
    yield

async def task():
    fail()

async def serve(application, path, lifespan="off"):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(application, port=port, log_config=None, access_log=False, lifespan=lifespan))
    running = asyncio.create_task(server.serve())
    while not server.started and not running.done():
        await asyncio.sleep(0.01)
    if server.started:
        async with httpx.AsyncClient(trust_env=False) as client:
            print((await client.get(f"http://127.0.0.1:{port}{path}")).text)
    server.should_exit = True
    await asyncio.gather(running, return_exceptions=True)

async def main():
    try:
        fail()
    except RuntimeError as error:
        structlog.get_logger().exception("own")
        structlog.get_logger().error("own-value", fault=error)
        logging.getLogger("library").exception("failed with %s", error)
        logging.getLogger("library").warning("will retry: %s", error)
        logging.getLogger("library").warning(error)
    await serve(app, "/fail/" + MARKER)
    await serve(bare, "/")
    forgotten = asyncio.create_task(task())
    await asyncio.sleep(0.05)
    del forgotten
    await serve(FastAPI(lifespan=broken), "/", "on")  # ends the process

try:
    asyncio.run(main())
except SystemExit:
    pass
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def output() -> subprocess.CompletedProcess[str]:
    """What a process prints in which everything fails: our code, a library, servers, a forgotten task."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, MARKER], capture_output=True, text=True, timeout=60, check=True
    )


def test_configure__everything_fails__no_message_or_value_is_printed(output: subprocess.CompletedProcess[str]) -> None:
    assert MARKER not in output.stdout
    assert MARKER not in output.stderr


def test_configure__everything_fails__json_lines_with_kind_and_frames(
    output: subprocess.CompletedProcess[str],
) -> None:
    lines = [json.loads(line) for line in output.stderr.splitlines()]
    by_event = {line["event"]: line for line in lines}
    assert by_event["own"]["error"]["kind"] == "RuntimeError"
    assert by_event["own"]["error"]["cause"] == "ValueError"
    assert by_event["own"]["error"]["frames"][-1].endswith(" fail")
    assert by_event["own-value"]["fault"]["kind"] == "RuntimeError"
    assert by_event["will retry: RuntimeError"]["level"] == "warning"
    assert by_event["unexpected"]["route"] == "/fail/{number}"
    assert by_event["error in uvicorn.error"]["error"]["frames"][-1].endswith(" fail")
    assert "RuntimeError" in [line["error"]["kind"] for line in lines if line["event"] == "error in asyncio"]
    assert any(event.startswith("RuntimeError < ") and "fail" in event for event in by_event)
    assert all(line["timestamp"] and line["level"] for line in lines)


def test_configure__our_own_middleware__server_never_sees_the_error(output: subprocess.CompletedProcess[str]) -> None:
    """Of the two servers that failed on a request, only the one without it printed what the server prints."""
    assert json.loads(output.stdout.splitlines()[0])["code"] == "internal"
    assert output.stderr.count('"event":"error in uvicorn.error"') == 1


def test_described__own_error__keeps_its_words() -> None:
    told = described(Unavailable("节点没有应答", detail_en="the node did not answer"))
    assert told == {"kind": "Unavailable", "frames": [], "detail": "the node did not answer"}


def test_described__group__told_by_its_first_member() -> None:
    assert described(ExceptionGroup("several", [KeyError(MARKER), ValueError()]))["kind"] == "KeyError"


def _portal() -> FastAPI:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Any]:
        yield None

    return create_portal(opened)


SERVERS: dict[str, Callable[[], FastAPI]] = {
    "portal": _portal,
    "gateway": lambda: gateway.create_app([], cast(Any, None)),
    "identity": lambda: identity.create_app(
        cast(Any, SimpleNamespace(issuer="http://test", clients={}, follow=AsyncMock())), cast(Any, None)
    ),
}


@pytest.mark.anyio
@pytest.mark.parametrize("name", SERVERS)
async def test_server__handler_fails__nothing_reaches_the_one_who_prints_tracebacks(name: str) -> None:
    app = SERVERS[name]()

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError(MARKER)

    app.router.routes.insert(0, app.router.routes.pop())
    # The transport raises whatever the application lets through to the server.
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
        response = await client.get("/broken")
    assert response.status_code == 500
    assert MARKER not in response.text
