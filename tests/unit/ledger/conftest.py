"""One Anvil for the tests of a module; each test deploys from an account of its own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from orchestrator.devnet.anvil import open_node


@pytest.fixture(scope="module")
def node_url() -> Iterator[str]:
    folder = Path(tempfile.mkdtemp(prefix="lianban-test-"))
    with open_node(None, folder) as url:
        # Blocks at once instead of every second: these tests are about what is sent, not about waiting.
        body = {"jsonrpc": "2.0", "id": 1, "method": "evm_setAutomine", "params": [True]}
        assert "error" not in httpx.post(url, json=body, trust_env=False).json()
        yield url
    shutil.rmtree(folder)
