"""Cores: which one the measured process has to itself, and the machine that all of it runs on."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cryptography
import psutil
from cryptography.hazmat.backends.openssl import backend


@dataclass(frozen=True, slots=True, kw_only=True)
class Cores:
    """One core for what is measured, the others for everything else; on a machine with one core both share it."""

    measured: int | None
    """None where processes cannot be bound to cores (not on Linux)."""
    others: frozenset[int]


@contextmanager
def shared_out() -> Iterator[Cores]:
    """Binds this process, and so what it starts in the block, to all cores but the last that it may use."""
    if sys.platform != "linux":
        yield Cores(measured=None, others=frozenset())
        return
    mine = os.sched_getaffinity(0)
    measured = max(mine)
    others = frozenset(mine - {measured} or mine)
    _bind(os.getpid(), others)
    try:
        yield Cores(measured=measured, others=others)
    finally:
        _bind(os.getpid(), mine)


def bind(pid: int, cores: Cores) -> None:
    """Binds a running process, all its threads, to the measured core."""
    if cores.measured is not None:
        _bind(pid, {cores.measured})


def _bind(pid: int, to: Any) -> None:
    if sys.platform == "linux":
        for thread in psutil.Process(pid).threads():
            with suppress(ProcessLookupError):  # ended meanwhile
                os.sched_setaffinity(thread.id, to)


def machine() -> dict[str, Any]:
    """What the figures depend on: processor, load, versions."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load_average_before": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "cryptography": cryptography.__version__,
        "openssl": backend.openssl_version_text(),
    }


def _processor() -> str:
    file = Path("/proc/cpuinfo")
    names = [line for line in file.read_text().splitlines() if line.startswith("model name")] if file.exists() else []
    return names[0].partition(":")[2].strip() if names else platform.processor()
