"""One core for what is measured, and the rest of the machine as it was afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from orchestrator.bench.cores import Cores, bind, machine, shared_out

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are bound to cores on Linux")


def test_shared_out__block__what_is_started_stays_off_the_measured_core() -> None:
    mine = os.sched_getaffinity(0)
    with shared_out() as cores:
        child = subprocess.run(
            [sys.executable, "-c", "import os; print(*os.sched_getaffinity(0))"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert {int(core) for core in child.stdout.split()} == cores.others
        assert cores.measured in mine
        assert (cores.measured in cores.others) == (len(mine) == 1)
    assert os.sched_getaffinity(0) == mine


def test_bind__process_with_threads__every_thread_on_the_core() -> None:
    mine = os.sched_getaffinity(0)
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        bind(os.getpid(), Cores(measured=min(mine), others=frozenset()))
        assert thread.native_id is not None
        assert os.sched_getaffinity(thread.native_id) == os.sched_getaffinity(0) == {min(mine)}
    finally:
        bind_back(mine)
        done.set()
        thread.join()


def test_bind__no_core__left_as_it_was() -> None:
    mine = os.sched_getaffinity(0)
    bind(os.getpid(), Cores(measured=None, others=frozenset()))
    assert os.sched_getaffinity(0) == mine


def test_machine__here__says_what_figures_depend_on() -> None:
    found = machine()
    assert found["cores"] == os.cpu_count()
    assert found["python"] == sys.version.split()[0]
    assert found["load_average_before"] >= 0
    assert found["openssl"].startswith("OpenSSL")


def bind_back(mine: set[int]) -> None:
    for task in os.listdir("/proc/self/task"):
        os.sched_setaffinity(int(task), mine)
