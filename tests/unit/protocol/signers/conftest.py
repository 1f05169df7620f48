"""Real external signers: a node that holds a key, and SoftHSM where this machine has it."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from eth_utils.address import to_checksum_address

from orchestrator.devnet.anvil import find_anvil
from orchestrator.devnet.ports import free_port
from tests.support.onchain import ask
from tests.support.softhsm import HOW, PIN, SoftHsm, find_module


@pytest.fixture(scope="session")
def node() -> Iterator[str]:
    """An Anvil that holds keys of its own and signs with them: no devnet's, which holds none."""
    program, port = find_anvil(), free_port("127.0.0.1")
    assert program is not None
    process = subprocess.Popen([program, "--port", str(port), "--silent"])
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(200):
            with contextlib.suppress(httpx.HTTPError):
                ask(url, "eth_chainId")
                break
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="session")
def account(node: str) -> str:
    """The address of a key that the node holds."""
    return to_checksum_address(ask(node, "eth_accounts")[0])


@pytest.fixture(scope="session")
def hsm(tmp_path_factory: pytest.TempPathFactory) -> SoftHsm:
    """SoftHSM with one key pair of each kind."""
    module = find_module()
    if module is None:
        pytest.skip(HOW)
    made = SoftHsm(module, tmp_path_factory.mktemp("softhsm"))
    for label, kind in (("evidence", "signing"), ("chain", "chain"), ("sealing", "sealing")):
        made.make(label, kind)
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A key folder with the PIN of the token."""
    (tmp_path / "hsm.pin").write_text(PIN)
    (tmp_path / "hsm.pin").chmod(0o600)
    return tmp_path
