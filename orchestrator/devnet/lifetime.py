"""Children that never outlive us, and locks that say who owns a running server."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO

_PR_SET_PDEATHSIG = 1


def die_with_parent(sent: signal.Signals) -> Callable[[], None] | None:
    """A `preexec_fn` that makes the kernel send `sent` to the child when the thread that started it ends.

    Only Linux has this (prctl(2)); elsewhere None, and a parent that is killed outright leaves its children behind.
    Start such children from a thread that lives as long as they should.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    number = int(sent)

    def ask_kernel() -> None:
        prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)

    return ask_kernel


def stop_process(process: subprocess.Popen[bytes], *, by: signal.Signals, seconds: float) -> None:
    """Asks a child to end, waits, and kills it when it has not ended after `seconds`."""
    if process.poll() is not None:
        return
    process.send_signal(by)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class OwnerLock:
    """A file lock held for as long as its owner lives: the kernel lets go of it even when the owner is killed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None

    def acquire(self) -> bool:
        """True when the lock is ours now, False when another process holds it."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = self._path.open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        self._file = file
        return True

    def release(self) -> None:
        """Lets go of the lock. Harmless when it is not held."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                fcntl.flock(self._file, fcntl.LOCK_UN)
            self._file.close()
            self._file = None
