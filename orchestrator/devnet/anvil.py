"""An EVM node of our own for a devnet: Anvil, with a chain of its own whose state outlives the process.

Blocks come at a fixed interval, as on a consortium chain, and gas is free. The chain id is drawn at random the first
time and kept, so that nothing signed on one devnet counts on another.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from orchestrator.devnet.lifetime import OwnerLock, die_with_parent, stop_process
from orchestrator.devnet.ports import free_port
from orchestrator.domain.errors import Unavailable
from orchestrator.ledger.transactions import look_at

_PROJECT = Path(__file__).resolve().parents[2]
_START_SECONDS = 60.0
_BLOCK_GAS = 120_000_000
_STATE_INTERVAL = 20
"""Seconds between two dumps of the chain's state, so that an outright kill loses little."""


def find_anvil() -> Path | None:
    """The Anvil program: from the project's npm packages, else from PATH, else None."""
    system = {"Linux": "linux", "Darwin": "darwin", "Windows": "win32"}.get(platform.system(), "")
    machine = "arm64" if platform.machine().lower() in {"arm64", "aarch64"} else "amd64"
    packaged = _PROJECT / "node_modules" / "@foundry-rs" / f"anvil-{system}-{machine}" / "bin" / "anvil"
    if packaged.is_file():
        return packaged
    found = shutil.which("anvil")
    return Path(found) if found else None


class EmbeddedAnvil:
    """One Anvil with its state in `folder`.

    `start` attaches to the node that another process has started there, or starts one that ends with this process.
    """

    def __init__(self, folder: Path, *, block_seconds: int = 1, chain_id: int | None = None) -> None:
        self._folder = folder.absolute()
        self._block_seconds = block_seconds
        self._chain_id = chain_id
        self._lock = OwnerLock(self._folder / "owner.lock")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> str:
        """The node's URL, once it answers with its chain id. Raises Unavailable when it does not come up."""
        if not self._lock.acquire():
            return self._wait(None)
        program = find_anvil()
        if program is None:
            self._lock.release()
            raise Unavailable(
                "找不到 Anvil",
                detail_en="Anvil is not installed",
                code="anvil-missing",
                remedy="运行 make setup，或用 LIANBAN_NODE_URL 指定节点 / run make setup, or set LIANBAN_NODE_URL",
            )
        port = free_port()
        about = self._folder / "node.json"
        about.unlink(missing_ok=True)
        with (self._folder / "node.log").open("ab") as log:
            self._process = subprocess.Popen(
                [program, *self._arguments(port)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env={**os.environ, "HOME": str(self._folder)},
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGTERM),
            )
        written = about.with_suffix(".new")
        written.write_text(json.dumps({"url": f"http://127.0.0.1:{port}", "chain_id": self.chain_id()}) + "\n")
        written.rename(about)
        return self._wait(self._process)

    def stop(self) -> None:
        """Ends the node if this object started it; it writes its state first."""
        if self._process is not None:
            stop_process(self._process, by=signal.SIGTERM, seconds=60)
            self._process = None
            (self._folder / "node.json").unlink(missing_ok=True)
        self._lock.release()

    def running(self) -> str | None:
        """The URL of the node that runs on the folder now, or None."""
        with contextlib.suppress(FileNotFoundError, httpx.HTTPError, KeyError, ValueError):
            about = json.loads((self._folder / "node.json").read_text())
            asked = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}
            answer = httpx.post(about["url"], json=asked, timeout=2, trust_env=False).json()
            if int(answer["result"], 16) == about["chain_id"]:
                return str(about["url"])
        return None

    def chain_id(self) -> int:
        """The chain's id: the given one, the one kept from before, or one drawn at random now and kept."""
        file = self._folder / "chain-id"
        if file.exists():
            return int(file.read_text())
        drawn = self._chain_id or 10_000_000 + secrets.randbelow(2**31 - 10_000_000)
        self._folder.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{drawn}\n")
        return drawn

    def _arguments(self, port: int) -> list[str]:
        state = self._folder / "state.json"
        return [
            *("--port", str(port), "--chain-id", str(self.chain_id()), "--accounts", "0"),
            *("--block-time", str(self._block_seconds), "--gas-limit", str(_BLOCK_GAS), "--enable-tx-gas-limit"),
            *("--gas-price", "0", "--block-base-fee-per-gas", "0", "--disable-min-priority-fee"),
            *("--state", str(state), "--state-interval", str(_STATE_INTERVAL), "--prune-history", "256"),
            *("--no-cors", "--no-request-size-limit", "--color", "never", "--quiet"),
        ]

    def _wait(self, process: subprocess.Popen[bytes] | None) -> str:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if process is not None and process.poll() is not None:
                break
            url = self.running()
            if url is not None:
                return url
            time.sleep(0.05)
        self.stop()
        raise Unavailable(
            "本地链节点没有启动",
            detail_en="the devnet's node did not start",
            code="node-start",
            remedy=f"查看 {self._folder / 'node.log'} / read that log; or set LIANBAN_NODE_URL",
        )


@contextlib.contextmanager
def open_node(
    node_url: str | None, data_dir: Path, *, block_seconds: int = 1, chain_id: int | None = None
) -> Iterator[str]:
    """The URL of the given node, or of our own Anvil, which ends with the block if this process started it.

    Raises Unavailable when neither answers.
    """
    if node_url is not None:
        asked = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}
        try:
            int(httpx.post(node_url, json=asked, timeout=5).json()["result"], 16)
        except (httpx.HTTPError, KeyError, ValueError):
            raise Unavailable(
                "无法连接设置的链节点",
                detail_en="the configured node cannot be reached",
                code="node-unreachable",
                remedy=look_at(node_url),
            ) from None
        yield node_url
        return
    node = EmbeddedAnvil(data_dir / "anvil", block_seconds=block_seconds, chain_id=chain_id)
    try:
        yield node.start()
    finally:
        node.stop()
