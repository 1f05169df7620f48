from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import psycopg
import pytest

from orchestrator.devnet.postgres import EmbeddedPostgres, open_database
from orchestrator.domain.errors import Unavailable

OWNER = """
import sys, time
from pathlib import Path
from orchestrator.devnet.postgres import EmbeddedPostgres
print(EmbeddedPostgres(Path(sys.argv[1])).start(), flush=True)
time.sleep(600)
"""


def test_start__new_folder__answers_and_keeps_what_was_written(data_dir: Path) -> None:
    for created in (True, False):
        with open_database(None, data_dir) as dsn, psycopg.connect(dsn) as connection:
            if created:
                connection.execute("create table kept (word text)")
                connection.execute("insert into kept values ('链办')")
            row = connection.execute("select word, current_setting('max_connections')::int from kept").fetchone()
            assert row is not None
            assert row[0] == "链办"
            assert row[1] >= 300


def test_start__server_of_another_process__attached_and_left_running(data_dir: Path) -> None:
    with open_database(None, data_dir) as dsn:
        with open_database(None, data_dir) as again:
            assert again == dsn
        psycopg.connect(dsn).close()


def test_stop__owner_ends__server_is_gone(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir / "postgres")
    dsn = server.start()
    server.stop()
    assert server.running() is None
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(dsn, connect_timeout=2)


def test_start__wrong_password__refused(data_dir: Path) -> None:
    with open_database(None, data_dir) as dsn:
        wrong = dsn.replace(dsn.split(":")[2].split("@")[0], "guess")
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(wrong, connect_timeout=2)


def test_start__owner_killed_outright__server_ends_and_starts_again(data_dir: Path) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(data_dir / "postgres")], stdout=subprocess.PIPE)
    assert owner.stdout is not None
    assert owner.stdout.readline().startswith(b"postgresql://")
    pid = int((data_dir / "postgres" / "data" / "postmaster.pid").read_text().split("\n")[0])
    os.kill(owner.pid, signal.SIGKILL)
    owner.wait()
    deadline = time.monotonic() + 20
    while psutil.pid_exists(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not psutil.pid_exists(pid)
    with open_database(None, data_dir) as dsn:
        psycopg.connect(dsn).close()


def test_start__initialisation_was_cut_short__starts_afresh(data_dir: Path) -> None:
    half = data_dir / "postgres" / "data.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    with open_database(None, data_dir) as dsn:
        psycopg.connect(dsn).close()
    assert not half.exists()


def test_open_database__given_server__used_as_it_is(data_dir: Path) -> None:
    with open_database(None, data_dir) as dsn, open_database(dsn, data_dir / "other") as given:
        assert given == dsn
    assert not (data_dir / "other").exists()


def test_open_database__given_server_down__unavailable_without_its_password() -> None:
    with (
        pytest.raises(Unavailable) as caught,
        open_database("postgresql://someone:secret-word@127.0.0.1:9/x", Path("unused")),
    ):
        pass
    assert caught.value.code == "database-unreachable"
    assert "secret-word" not in str(caught.value)
