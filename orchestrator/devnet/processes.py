"""The services of a devnet as child processes: started, watched, stopped and started again by name.

Stopping one by name is how an outage of a department is played.
"""

from __future__ import annotations

import contextlib
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import httpx

from orchestrator.devnet.lifetime import die_with_parent, stop_process
from orchestrator.domain.errors import Unavailable

LIANBAN = (sys.executable, "-m", "orchestrator.cli")
"""The `lianban` command of this very installation."""

_STOP_SECONDS = 15.0
_TRUSTS_NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Our own services speak plain HTTP here; reading the machine's certificates for every look would take 0.1 s of CPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service of ours: one `lianban …` command that serves HTTP."""

    name: str
    """Also the name of its log file."""
    arguments: tuple[str, ...]
    """What follows `lianban` (or the supervisor's other program)."""
    health_url: str | None
    """Answers 200 once the service can be used; None for a service without HTTP, which counts as up once it runs."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to the environment of the supervisor."""
    start_seconds: float = 60.0
    """How long it may take to become healthy."""


class Supervisor:
    """Starts services and sees to it that none outlives this process.

    Use it as a context manager from the main thread: SIGTERM then ends the block like Ctrl-C does, and every service is
    stopped on the way out, the last started first.
    """

    def __init__(
        self, logs: Path, environment: Mapping[str, str] | None = None, *, program: Sequence[str] = LIANBAN
    ) -> None:
        self._logs = logs
        self._program = tuple(program)
        self._environment = dict(environment or {})
        self._services: dict[str, Service] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Supervisor:
        self._previous = signal.signal(signal.SIGTERM, _end_block)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_all()
        signal.signal(signal.SIGTERM, self._previous)

    def start(self, service: Service) -> None:
        """Starts a service without waiting for it. Raises ValueError when one of that name runs."""
        running = self._processes.get(service.name)
        if running is not None and running.poll() is None:
            raise ValueError(f"{service.name} is running")
        self._logs.mkdir(parents=True, exist_ok=True)
        with self.log_file(service.name).open("ab") as log:
            self._processes[service.name] = subprocess.Popen(
                [*self._program, *service.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **self._environment, **service.environment},
                # Ctrl-C on the terminal reaches the supervisor alone, which then stops the services in order.
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGTERM),
            )
        self._services[service.name] = service

    def wait_healthy(self, names: Sequence[str] | None = None) -> None:
        """Waits until all (or the named) services are healthy.

        Raises Unavailable naming the first that ended or did not become healthy in its time, and where its log is.
        """
        for name in names if names is not None else list(self._services):
            service, process = self._services[name], self._processes[name]
            deadline = time.monotonic() + service.start_seconds
            while not _healthy(service, process):
                if process.poll() is not None:
                    raise self._failed(name, f"退出码 {process.returncode}", f"ended with code {process.returncode}")
                if time.monotonic() > deadline:
                    raise self._failed(name, "启动超时", f"not healthy after {service.start_seconds:.0f} s")
                time.sleep(0.1)

    def run(self, service: Service) -> None:
        """Starts a service and waits until it is healthy."""
        self.start(service)
        self.wait_healthy([service.name])

    def stop(self, name: str) -> None:
        """Stops one service; it is asked first, and killed when it does not end. Harmless when it has ended."""
        stop_process(self._processes[name], by=signal.SIGTERM, seconds=_STOP_SECONDS)

    def kill(self, name: str) -> None:
        """Kills one service outright, as a crash would."""
        self._processes[name].kill()
        self._processes[name].wait()

    def restart(self, name: str) -> None:
        """Starts a stopped service again, as it was, and waits until it is healthy."""
        self.run(self._services[name])

    @contextlib.contextmanager
    def outage(self, name: str) -> Iterator[None]:
        """The block runs while the service is down; afterwards it is healthy again."""
        self.stop(name)
        try:
            yield
        finally:
            self.restart(name)

    def ended(self) -> list[str]:
        """Names of services that have ended, whoever ended them."""
        return [name for name, process in self._processes.items() if process.poll() is not None]

    def pid(self, name: str) -> int:
        """The process id of a service, for measuring it."""
        return self._processes[name].pid

    def log_file(self, name: str) -> Path:
        """Where a service writes its log."""
        return self._logs / f"{name}.log"

    def stop_all(self) -> None:
        """Stops every service: all are asked at once, each is given its time, whoever is left is killed."""
        running = [process for process in reversed(self._processes.values()) if process.poll() is None]
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            stop_process(process, by=signal.SIGTERM, seconds=_STOP_SECONDS)

    def _failed(self, name: str, zh: str, en: str) -> Unavailable:
        log = self.log_file(name)
        lines = log.read_text(errors="replace").splitlines()[-15:] if log.exists() else []
        return Unavailable(
            f"服务 {name} 没有启动：{zh}",
            detail_en="\n".join([f"service {name} did not start: {en}", *lines]),
            code="service-start",
            remedy=f"查看 {log} / read that log",
        )


def _healthy(service: Service, process: subprocess.Popen[bytes]) -> bool:
    if process.poll() is not None:
        return False
    if service.health_url is None:
        return True
    try:
        return httpx.get(service.health_url, timeout=2, trust_env=False, verify=_TRUSTS_NOBODY).status_code == 200
    except httpx.HTTPError:
        return False


def _end_block(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
