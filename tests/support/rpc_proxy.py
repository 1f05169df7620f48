"""A node behind a proxy that sees every request and may act before or after the node has done it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

import httpx

Moment = Literal["before", "after"]
Watcher = Callable[[str, Moment], None]
"""Told the method of each request, before the node gets it and after the node has done it."""


@contextmanager
def rpc_proxy(node_url: str, watch: Watcher) -> Iterator[str]:
    """The proxy's URL. What the watcher raises ends that request without an answer."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            method = json.loads(body)["method"]
            watch(method, "before")
            answer = httpx.post(
                node_url, content=body, headers={"Content-Type": "application/json"}, trust_env=False, timeout=30
            ).content
            watch(method, "after")
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a killed client is what we want
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
