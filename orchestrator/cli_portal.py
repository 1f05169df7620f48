"""`lianban portal`, `lianban worker`, `lianban principal`: the orchestrator's processes and its staff."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
import typer
import uvicorn

from orchestrator.api.state import State
from orchestrator.pipeline.worker import Worker
from orchestrator.portal.app import create_portal
from orchestrator.runtime import open_runtime, prepare_store
from orchestrator.settings import load_settings

portal_app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)
worker_app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)
principal_app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)


@portal_app.command()
def portal(
    worker: bool = typer.Option(True, help="同一进程内也运行办件流水线 · run the case pipeline in this process too"),
) -> None:
    """运行门户与接口 · serve the portal and its HTTP API."""
    settings = load_settings()
    prepare_store(settings.require_database_url())

    @asynccontextmanager
    async def opened() -> AsyncIterator[State]:
        async with open_runtime(settings) as runtime:
            running = asyncio.create_task(Worker(runtime.context).run()) if worker else None
            if running is not None:
                running.add_done_callback(_end_with_worker)
            try:
                yield runtime.state
            finally:
                if running is not None:
                    running.cancel()
                    await asyncio.gather(running, return_exceptions=True)

    uvicorn.run(create_portal(opened), host=settings.host, port=settings.portal_port, log_config=None, access_log=False)


def _end_with_worker(task: asyncio.Task[None]) -> None:
    """A portal whose pipeline has died must not look alive: it ends, and whoever supervises it starts it again."""
    if not task.cancelled() and task.exception() is not None:
        structlog.get_logger().error("worker-died", exc_info=task.exception())
        signal.raise_signal(signal.SIGTERM)


@worker_app.command()
def worker() -> None:
    """运行一个办件流水线进程 · run one more worker on the same tables."""

    async def work() -> None:
        async with open_runtime(load_settings()) as runtime:
            await Worker(runtime.context).run()

    asyncio.run(work())


@principal_app.command()
def principal(role: str = typer.Argument(help="operator | auditor"), label: str = typer.Argument()) -> None:
    """登记经办或审计人员,打印其令牌(仅此一次) · register an operator or auditor and print the token, this once."""
    if role not in ("operator", "auditor"):
        raise typer.BadParameter("operator | auditor")

    async def add() -> str:
        settings = load_settings()
        prepare_store(settings.require_database_url())
        async with open_runtime(settings) as runtime:
            return await runtime.add_principal(role, label)

    typer.echo(asyncio.run(add()))
