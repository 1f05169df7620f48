"""A node that holds keys of its own and signs with them: the external signer that every machine has."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from eth_utils.address import to_checksum_address

from orchestrator.devnet.anvil import find_anvil
from orchestrator.devnet.ports import free_port
from tests.support.onchain import ask


@contextmanager
def signing_node() -> Iterator[str]:
    """The URL of an Anvil with accounts; a devnet's has none."""
    program, port = find_anvil(), free_port("127.0.0.1")
    assert program is not None
    process = subprocess.Popen([program, "--port", str(port), "--silent"])
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(300):
            with contextlib.suppress(httpx.HTTPError):
                ask(url, "eth_chainId")
                break
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(10)


def account_of(url: str) -> str:
    """The address (EIP-55) of a key that the node holds."""
    return to_checksum_address(ask(url, "eth_accounts")[0])
