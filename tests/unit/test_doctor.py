from __future__ import annotations

import http.server
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from orchestrator import doctor
from orchestrator.doctor import app, check_anvil, check_chain, check_database, check_disk, check_memory, check_ports
from orchestrator.domain.errors import Unavailable
from orchestrator.settings import Settings, load_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data_dir=tmp_path / "var", database_url=None, node_url=None)


@pytest.fixture
def node() -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = json.dumps({"jsonrpc": "2.0", "id": 1, "result": "0x7e9"}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_examine__prepared_machine__nothing_fails(settings: Settings) -> None:
    assert [finding.what for finding in doctor.examine(settings) if finding.state == "fail"] == []


def test_check_anvil__none_for_this_platform__fails_and_says_how(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "find_anvil", lambda: None)
    finding = check_anvil(settings)
    assert finding.state == "fail"
    assert "LIANBAN_NODE_URL" in finding.remedy
    assert check_anvil(settings.model_copy(update={"node_url": "http://n"})).state == "ok"


def test_check_anvil__program_does_not_run__fails(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "anvil"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setattr(doctor, "find_anvil", lambda: broken)
    assert check_anvil(settings).state == "fail"


def test_check_chain__node_answers__ok_and_names_the_chain(settings: Settings, node: str) -> None:
    finding = check_chain(settings.model_copy(update={"node_url": node}))
    assert finding.state == "ok"
    assert "2025" in finding.what


def test_check_chain__other_chain__fails(settings: Settings, node: str) -> None:
    assert check_chain(settings.model_copy(update={"node_url": node, "chain_id": 1})).state == "fail"


def test_check_chain__nobody_there__fails(settings: Settings) -> None:
    assert check_chain(settings.model_copy(update={"node_url": "http://127.0.0.1:9"})).state == "fail"


def test_check_database__given_server_down__fails_without_its_password(settings: Settings) -> None:
    url = "postgresql://someone:secret-word@127.0.0.1:9/x"
    finding = check_database(settings.model_copy(update={"database_url": url}))
    assert finding.state == "fail"
    assert "secret-word" not in finding.what + finding.remedy


def test_check_database__no_embedded_server__fails_and_says_how(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> Path:
        raise Unavailable("没有", code="database-missing", remedy="LIANBAN_DATABASE_URL")

    monkeypatch.setattr(doctor, "find_programs", missing)
    finding = check_database(settings)
    assert finding.state == "fail"
    assert finding.remedy == "LIANBAN_DATABASE_URL"


def test_check_ports__one_taken__warns_and_names_it(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        finding = check_ports(settings.model_copy(update={"portal_port": port}))
    assert finding.state == "warn"
    assert str(port) in finding.what


def test_check_disk__full__fails(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_disk(settings).state == "ok"
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: SimpleNamespace(free=2**20))
    assert check_disk(settings).state == "fail"


def test_check_memory__little__warns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.psutil, "virtual_memory", lambda: SimpleNamespace(available=2**28))
    assert check_memory().state == "warn"


def test_doctor__something_fails__exit_code_1_with_its_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LIANBAN_DATA_DIR", str(tmp_path))
    good = CliRunner().invoke(app)
    monkeypatch.setenv("LIANBAN_NODE_URL", "http://127.0.0.1:9")
    bad = CliRunner().invoke(app)
    assert (good.exit_code, bad.exit_code) == (0, 1)
    assert "LIANBAN_NODE_URL" in bad.output
