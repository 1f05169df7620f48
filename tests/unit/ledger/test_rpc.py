from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from orchestrator.domain.errors import Unavailable
from orchestrator.ledger.rpc import Reverted, Rpc

Answer = Callable[[Any], bytes]


class Node:
    """A web server that answers whatever the test says, and remembers what it was asked."""

    def __init__(self) -> None:
        self.answer: Answer = lambda body: b"{}"
        self.status = 200
        self.asked: list[Any] = []
        node = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                node.asked.append(body)
                content = node.answer(body)
                self.send_response(node.status)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def node() -> Iterator[Node]:
    made = Node()
    thread = threading.Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()


def run(node: Node, *calls: tuple[str, list[Any]], batch: bool = False, timeout: float = 5) -> Any:
    async def go() -> Any:
        async with Rpc(node.url, timeout=timeout) as rpc:
            return await rpc.batch(calls) if batch else await rpc.call(*calls[0])

    return asyncio.run(go())


def error(code: int, message: str, data: object = None) -> Answer:
    return lambda body: json.dumps(
        {"jsonrpc": "2.0", "id": body["id"], "error": {"code": code, "message": message, "data": data}}
    ).encode()


def test_call__result__returned(node: Node) -> None:
    node.answer = lambda body: json.dumps({"jsonrpc": "2.0", "id": body["id"], "result": "0x5"}).encode()
    assert run(node, ("eth_chainId", [])) == "0x5"
    assert node.asked[0]["method"] == "eth_chainId"


def test_call__null_result__none(node: Node) -> None:
    node.answer = lambda body: json.dumps({"jsonrpc": "2.0", "id": body["id"], "result": None}).encode()
    assert run(node, ("eth_getTransactionReceipt", ["0x00"])) is None


@pytest.mark.parametrize("code", [3, -32000])
def test_call__contract_reverts__reverted_with_its_data(node: Node, code: int) -> None:
    node.answer = error(code, "execution reverted", "0x1234abcd")
    with pytest.raises(Reverted) as caught:
        run(node, ("eth_call", [{}]))
    assert caught.value.data == "0x1234abcd"


def test_call__node_refuses__unavailable_with_its_message(node: Node) -> None:
    node.answer = error(-32000, "nonce too low")
    with pytest.raises(Unavailable) as caught:
        run(node, ("eth_sendRawTransaction", ["0x"]))
    assert "nonce too low" in caught.value.detail_en


def test_call__error_with_http_status__still_told_apart(node: Node) -> None:
    node.status = 400
    node.answer = error(3, "execution reverted", "0x00")
    with pytest.raises(Reverted):
        run(node, ("eth_call", [{}]))


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b"5", b"{}", b'{"id": 99, "result": 1}'])
def test_call__nonsense__unavailable(node: Node, content: bytes) -> None:
    node.answer = lambda body: content
    with pytest.raises(Unavailable):
        run(node, ("eth_chainId", []))


def test_call__no_node__unavailable() -> None:
    async def go() -> None:
        async with Rpc("http://127.0.0.1:9") as rpc:
            await rpc.call("eth_chainId")

    with pytest.raises(Unavailable) as caught:
        asyncio.run(go())
    assert caught.value.code == "node-down"


def test_call__slow_node__unavailable_after_the_timeout(node: Node) -> None:
    node.answer = lambda body: time.sleep(1) or b"{}"  # type: ignore[func-returns-value]
    with pytest.raises(Unavailable, match="Timeout"):
        run(node, ("eth_chainId", []), timeout=0.2)


def test_batch__answers_out_of_order__results_in_order(node: Node) -> None:
    node.answer = lambda body: json.dumps(
        [{"jsonrpc": "2.0", "id": one["id"], "result": one["params"][0]} for one in reversed(body)]
    ).encode()
    calls = [("echo", [number]) for number in range(450)]
    assert run(node, *calls, batch=True) == list(range(450))
    assert [len(body) for body in node.asked] == [200, 200, 50]


def test_batch__none__nothing_asked(node: Node) -> None:
    assert run(node, batch=True) == []
    assert node.asked == []


def test_batch__one_answer_missing__unavailable(node: Node) -> None:
    node.answer = lambda body: json.dumps([{"id": one["id"], "result": 1} for one in body[1:]]).encode()
    with pytest.raises(Unavailable, match="not complete"):
        run(node, ("a", []), ("b", []), batch=True)


def test_batch__refused_as_a_whole__unavailable_with_its_message(node: Node) -> None:
    node.answer = lambda body: json.dumps({"id": None, "error": {"code": -32600, "message": "too large"}}).encode()
    with pytest.raises(Unavailable, match="too large"):
        run(node, ("a", []), batch=True)
