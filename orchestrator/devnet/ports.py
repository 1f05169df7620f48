"""Ports that stay the same from one start to the next.

A department's endpoint is part of its keyset document, whose hash is on chain: a devnet that is started again must
serve on the ports that it had the first time.
"""

from __future__ import annotations

import json
import random
import socket
from pathlib import Path

from orchestrator.domain.errors import Unavailable

# Below the range from which Linux takes ports of outgoing connections, so that no such connection sits on ours.
_FIRST, _LAST = 20_000, 32_000


def port_is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen on this port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port(host: str = "127.0.0.1", *, avoid: frozenset[int] = frozenset()) -> int:
    """A port on which nobody listens, drawn at random. Raises Unavailable when 200 draws found none."""
    for _ in range(200):
        port = random.randint(_FIRST, _LAST)
        if port not in avoid and port_is_free(port, host):
            return port
    raise Unavailable(
        "找不到空闲端口",
        detail_en="no free port found",
        code="no-free-port",
        remedy=f"释放 {_FIRST}–{_LAST} 之间的端口 / free some ports between {_FIRST} and {_LAST}",
    )


class Ports:
    """The ports of a devnet's services by name, remembered in a JSON file."""

    def __init__(self, file: Path, host: str = "127.0.0.1") -> None:
        self._file = file
        self._host = host
        self._ports: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}

    def of(self, name: str, wanted: int = 0) -> int:
        """The port of the service `name`: `wanted` unless that is 0, else the remembered one, else a free one.

        Raises Unavailable when the port is taken by somebody else.
        """
        port = wanted or self._ports.get(name) or free_port(self._host, avoid=frozenset(self._ports.values()))
        if not port_is_free(port, self._host):
            raise Unavailable(
                f"端口 {port}({name})被其他程序占用",
                detail_en=f"port {port} ({name}) is taken by another program",
                code="port-taken",
                remedy=f"结束占用该端口的程序;若此本地链可以不要,把 {self._file.parent} 移到别处再启动(密钥也在其中) / "
                f"end that program; or, if this local chain may go, move {self._file.parent} elsewhere: keys are in it too",
            )
        if self._ports.get(name) != port:
            self._ports[name] = port
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.write_text(json.dumps(self._ports, indent=2, sort_keys=True) + "\n")
        return port
