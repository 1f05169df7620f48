"""The node as safe-eth-py reaches it, with our own errors."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import requests.exceptions
from eth_typing import URI
from hexbytes import HexBytes
from safe_eth.eth import EthereumClient
from safe_eth.eth.exceptions import EthereumClientException
from web3.exceptions import BadResponseFormat, Web3RPCError

from orchestrator.domain.errors import Unavailable

# It warns of conveniences that a chain lacks; whatever matters it raises.
logging.getLogger("safe_eth").setLevel(logging.ERROR)

WAIT_SECONDS = 120
"""How long a transaction may take until it is mined."""


@contextmanager
def open_client(url: str, *, timeout: float = 10.0) -> Iterator[EthereumClient]:
    """A client whose failures to reach the node, or to be served by it, are Unavailable."""
    client = EthereumClient(URI(url), provider_timeout=max(1, round(timeout)), use_request_caching=False)
    client.http_session.trust_env = False  # a consortium's node is reached directly, as in `ledger/rpc.py`
    try:
        yield client
    except (requests.exceptions.RequestException, EthereumClientException, Web3RPCError, BadResponseFormat) as error:
        raise _unavailable(error) from None
    finally:
        client.http_session.close()


def wait_mined(client: EthereumClient, transaction: bytes) -> int:
    """Waits for a transaction; the block that holds it. Raises Unavailable when it is not mined, or failed."""
    receipt = client.get_transaction_receipt(HexBytes(transaction), timeout=WAIT_SECONDS)
    if receipt is None:
        raise Unavailable(
            "交易迟迟没有出块",
            detail_en="the transaction was not mined in time",
            code="not-mined",
            remedy="检查节点是否出块，然后重新运行 / see that the node makes blocks, then run this again",
        )
    if receipt["status"] != 1:
        raise Unavailable(
            "交易未成功",
            detail_en="the transaction failed",
            code="transaction-failed",
            remedy="重新运行，先看模拟结果 / run this again and read the dry run first",
        )
    return int(receipt["blockNumber"])


def _unavailable(error: Exception) -> Unavailable:
    return Unavailable(
        "链节点没有应答或没有执行请求",
        detail_en=f"the node did not answer, or did not do it: {type(error).__name__}",
        code="node-down",
        remedy="检查 LIANBAN_NODE_URL 与该节点 / check LIANBAN_NODE_URL and that node",
    )
