"""JSON-RPC to an EVM node over HTTP: single calls and batches, with our own errors.

A node that does not answer, answers nonsense or has a trouble of its own is Unavailable; a contract that said no is
Reverted, with the data that it said it with.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from types import TracebackType
from typing import Any, Self

import httpx
import orjson

from orchestrator.domain.errors import Refused, Unavailable

_BATCH = 200
"""Calls in one HTTP request: nodes limit a request's size."""

_REVERTED = 3
"""The error code with which nodes report a revert in `eth_call` and `eth_estimateGas`."""

_REMEDY = "检查 LIANBAN_NODE_URL 与该节点 / check LIANBAN_NODE_URL and that node"


class Reverted(Refused):
    """A contract refused a call. `data` is its revert data as `0x…`: selector and arguments of a custom error."""

    def __init__(self, data: str, message: str) -> None:
        super().__init__("合约拒绝了这次调用", code="reverted", detail_en=f"the contract refused the call: {message}")
        self.data = data


class Rpc:
    """A client of one node. Close it, or use it as an async context manager."""

    def __init__(self, url: str, *, timeout: float = 10.0) -> None:
        self._url = url
        # A node of the consortium is reached directly, whatever proxies the environment names for the web.
        self._http = httpx.AsyncClient(timeout=timeout, trust_env=False)
        self._ids = count(1)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def call(self, method: str, params: Sequence[Any] = ()) -> Any:
        """The result of one call. Raises Reverted when a contract refused, Unavailable for every other failure."""
        number = next(self._ids)
        answer = await self._post({"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)})
        if not isinstance(answer, dict) or answer.get("id") not in (number, None):
            raise _unavailable("the answer is not JSON-RPC")
        return _result(answer)

    async def batch(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """The results of many calls, in order. Raises like `call` for the first that failed."""
        results: list[Any] = []
        for start in range(0, len(calls), _BATCH):
            requests = [
                {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": list(params)}
                for method, params in calls[start : start + _BATCH]
            ]
            answers = await self._post(requests)
            if not isinstance(answers, list):
                # A node that refuses the batch as a whole answers with one error object.
                _result(answers if isinstance(answers, dict) else {})
                raise _unavailable("the answer is not a batch")
            by_id = {answer.get("id"): answer for answer in answers if isinstance(answer, dict)}
            for request in requests:
                if request["id"] not in by_id:
                    raise _unavailable("the answer to a batch is not complete")
                results.append(_result(by_id[request["id"]]))
        return results

    async def _post(self, body: object) -> Any:
        try:
            response = await self._http.post(
                self._url, content=orjson.dumps(body), headers={"content-type": "application/json"}
            )
            # Some nodes send errors with a status of 4xx or 5xx and still say in the body what is wrong.
            return orjson.loads(response.content)
        except httpx.HTTPError as error:
            raise _unavailable(type(error).__name__) from None
        except orjson.JSONDecodeError:
            raise _unavailable(f"HTTP {response.status_code} without JSON") from None


def _result(answer: dict[str, Any]) -> Any:
    if "result" in answer:
        return answer["result"]
    error = answer.get("error")
    if not isinstance(error, dict):
        raise _unavailable("the answer is not JSON-RPC")
    message, data = str(error.get("message", "")), error.get("data")
    if error.get("code") == _REVERTED or "execution reverted" in message.lower():
        raise Reverted(data if isinstance(data, str) else "0x", message)
    raise Unavailable(
        "链节点没有执行请求", detail_en=f"the node did not do it: {message}", code="node-error", remedy=_REMEDY
    )


def _unavailable(why: str) -> Unavailable:
    return Unavailable("链节点没有应答", detail_en=f"the node did not answer: {why}", code="node-down", remedy=_REMEDY)
