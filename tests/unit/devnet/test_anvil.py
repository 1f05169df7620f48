from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from orchestrator.devnet import anvil
from orchestrator.devnet.anvil import EmbeddedAnvil, open_node
from orchestrator.domain.errors import Unavailable

OWNER = """
import sys, time
from pathlib import Path
from orchestrator.devnet.anvil import EmbeddedAnvil
node = EmbeddedAnvil(Path(sys.argv[1]))
node.start()
print(node._process.pid, flush=True)
time.sleep(600)
"""


def ask(url: str, method: str, *params: object) -> Any:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return httpx.post(url, json=body, trust_env=False).json()["result"]


def test_start__second_time__same_chain_with_its_blocks(data_dir: Path) -> None:
    with open_node(None, data_dir) as url:
        chain = ask(url, "eth_chainId")
        ask(url, "anvil_setBalance", "0x" + "11" * 20, "0x5")
        ask(url, "evm_mine")
        block = ask(url, "eth_getBlockByNumber", "0x1", False)["hash"]
    with open_node(None, data_dir) as url:
        assert ask(url, "eth_chainId") == chain
        assert ask(url, "eth_getBalance", "0x" + "11" * 20, "latest") == "0x5"
        assert ask(url, "eth_getBlockByNumber", "0x1", False)["hash"] == block


def test_start__two_devnets__different_chain_ids(data_dir: Path) -> None:
    first, second = EmbeddedAnvil(data_dir / "a"), EmbeddedAnvil(data_dir / "b")
    assert first.chain_id() != second.chain_id()
    assert first.chain_id() == EmbeddedAnvil(data_dir / "a").chain_id()


def test_start__node_of_another_process__attached_and_left_running(data_dir: Path) -> None:
    with open_node(None, data_dir) as url:
        with open_node(None, data_dir) as again:
            assert again == url
        assert int(ask(url, "eth_chainId"), 16) > 0


def test_start__chain_id_given__node_has_it(data_dir: Path) -> None:
    with open_node(None, data_dir, chain_id=20250214) as url:
        assert int(ask(url, "eth_chainId"), 16) == 20250214


def test_start__block_interval__blocks_come_without_transactions(data_dir: Path) -> None:
    with open_node(None, data_dir, block_seconds=1) as url:
        time.sleep(2.5)
        assert int(ask(url, "eth_blockNumber"), 16) >= 2


def test_start__owner_killed_outright__node_ends(data_dir: Path) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(data_dir)], stdout=subprocess.PIPE)
    assert owner.stdout is not None
    pid = int(owner.stdout.readline())
    os.kill(owner.pid, signal.SIGKILL)
    owner.wait()
    deadline = time.monotonic() + 20
    while psutil.pid_exists(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not psutil.pid_exists(pid)
    assert (data_dir / "state.json").exists()


def test_start__no_anvil_anywhere__unavailable_says_how_to_get_it(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anvil, "find_anvil", lambda: None)
    with pytest.raises(Unavailable) as caught, open_node(None, data_dir):
        pass
    assert caught.value.code == "anvil-missing"
    assert "make setup" in caught.value.remedy


def test_open_node__given_node_down__unavailable() -> None:
    with pytest.raises(Unavailable) as caught, open_node("http://127.0.0.1:9", Path("unused")):
        pass
    assert caught.value.code == "node-unreachable"
