from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from orchestrator.devnet.ports import free_port
from orchestrator.devnet.processes import Service, Supervisor
from orchestrator.domain.errors import Unavailable

SERVER = (sys.executable, "-m", "http.server", "--bind", "127.0.0.1")
SUPERVISED = """
import sys, time
from pathlib import Path
from orchestrator.devnet.processes import Service, Supervisor
with Supervisor(Path(sys.argv[1]), program=(sys.executable, "-c")) as supervisor:
    supervisor.start(Service(name="sleeper", arguments=("import time; time.sleep(600)",), health_url=None))
    print(supervisor.pid("sleeper"), flush=True)
    time.sleep(600)
"""


@pytest.fixture
def supervisor(data_dir: Path) -> Iterator[Supervisor]:
    with Supervisor(data_dir / "logs", program=SERVER) as made:
        yield made


def web(name: str) -> Service:
    port = free_port()
    return Service(name=name, arguments=(str(port),), health_url=f"http://127.0.0.1:{port}/", start_seconds=20)


def up(service: Service) -> bool:
    assert service.health_url is not None
    try:
        return httpx.get(service.health_url, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 20
    while psutil.pid_exists(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not psutil.pid_exists(pid)


def test_run__service__healthy_with_a_log(supervisor: Supervisor) -> None:
    service = web("one")
    supervisor.run(service)
    assert up(service)
    assert supervisor.log_file("one").exists()


def test_outage__one_of_two__the_other_stays_up_and_it_returns(supervisor: Supervisor) -> None:
    one, two = web("one"), web("two")
    supervisor.start(one)
    supervisor.start(two)
    supervisor.wait_healthy()
    with supervisor.outage("one"):
        assert not up(one)
        assert up(two)
        assert supervisor.ended() == ["one"]
    assert up(one)
    assert supervisor.ended() == []


def test_kill__service__gone_at_once(supervisor: Supervisor) -> None:
    service = web("one")
    supervisor.run(service)
    supervisor.kill("one")
    assert not up(service)


def test_start__already_running__refused(supervisor: Supervisor) -> None:
    service = web("one")
    supervisor.start(service)
    with pytest.raises(ValueError, match="running"):
        supervisor.start(service)


def test_wait_healthy__service_ends__unavailable_with_its_last_words(supervisor: Supervisor) -> None:
    broken = Service(name="broken", arguments=("no-port",), health_url="http://127.0.0.1:9/")
    with pytest.raises(Unavailable) as caught:
        supervisor.run(broken)
    assert caught.value.code == "service-start"
    assert "no-port" in caught.value.detail_en
    assert str(supervisor.log_file("broken")) in caught.value.remedy


def test_wait_healthy__never_healthy__unavailable_after_its_time(supervisor: Supervisor) -> None:
    silent = Service(name="silent", arguments=(str(free_port()),), health_url="http://127.0.0.1:9/", start_seconds=0.5)
    with pytest.raises(Unavailable, match="not healthy"):
        supervisor.run(silent)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_supervisor__ended_by_signal__services_end_too(data_dir: Path, number: signal.Signals) -> None:
    parent = subprocess.Popen([sys.executable, "-c", SUPERVISED, str(data_dir)], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    os.kill(parent.pid, number)
    assert parent.wait(30) != 0
    assert gone(pid)
