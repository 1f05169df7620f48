"""Put into Python processes of a test cluster by PYTHONPATH: writes down what goes over their sockets, and breaks on purpose.

`CANARY_TRAFFIC` names a folder. While a file `on` lies in it, every byte that this process sends or receives by a Python socket is
appended to a file of the process: frames of `connection, direction, length` and the bytes. `CANARY_BREAK=sealing` replaces the one
function that seals by one that only encodes: a test shows that this does not stay unnoticed.
"""

from __future__ import annotations

import os
import sys

if "CANARY_TRAFFIC" in os.environ:
    import itertools
    import socket
    import struct
    import weakref

    _folder = os.environ["CANARY_TRAFFIC"]
    _switch = os.path.join(_folder, "on")
    _numbers = itertools.count()
    _known: weakref.WeakKeyDictionary[socket.socket, int] = weakref.WeakKeyDictionary()
    _file: list[int] = []

    def _note(connection: socket.socket, direction: int, data: object) -> None:
        content = bytes(data)  # type: ignore[call-overload]
        if not content or not os.path.exists(_switch) or connection.family == socket.AF_UNIX:
            return
        if not _file:
            words = "-".join(word for word in sys.argv[1:4] if "/" not in word)[:100] or "python"
            name = os.path.join(_folder, f"{words}.{os.getpid()}.traffic")
            _file.append(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
        number = _known.get(connection)
        if number is None:
            number = _known[connection] = next(_numbers)
        os.write(_file[0], struct.pack("<IBI", number, direction, len(content)) + content)

    class _Recording:
        """The methods of a socket that move bytes."""

        def send(self, data: object, *more: int) -> int:
            sent = super().send(data, *more)  # type: ignore[misc]
            _note(self, 0, memoryview(data)[:sent])  # type: ignore[arg-type]
            return int(sent)

        def sendall(self, data: object, *more: int) -> None:
            super().sendall(data, *more)  # type: ignore[misc]
            _note(self, 0, data)  # type: ignore[arg-type]

        def recv(self, *given: int) -> bytes:
            data: bytes = super().recv(*given)  # type: ignore[misc]
            _note(self, 1, data)  # type: ignore[arg-type]
            return data

        def recv_into(self, buffer: object, *given: int) -> int:
            count = super().recv_into(buffer, *given)  # type: ignore[misc]
            _note(self, 1, memoryview(buffer)[:count])  # type: ignore[arg-type]
            return int(count)

    socket.socket = type("socket", (_Recording, socket.socket), {})  # type: ignore[misc]


if os.environ.get("CANARY_BREAK") == "sealing":
    import importlib.machinery
    import importlib.util
    from collections.abc import Mapping, Sequence
    from importlib.abc import MetaPathFinder
    from types import ModuleType
    from typing import Any

    def _only_encode(_jwk: Mapping[str, Any], plaintext: bytes, *, info: bytes, pad_to: int) -> str:
        import base64

        del info
        padded = plaintext + b"\x80"
        return base64.urlsafe_b64encode(padded + b"\0" * (-len(padded) % pad_to)).decode().rstrip("=")

    class _Breaking(MetaPathFinder):
        """Lets `orchestrator.protocol.sealing` be imported with its `seal` replaced."""

        def find_spec(
            self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
        ) -> importlib.machinery.ModuleSpec | None:
            if name != "orchestrator.protocol.sealing":
                return None
            spec = importlib.machinery.PathFinder.find_spec(name, path)
            assert spec is not None
            assert spec.loader is not None
            load = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                load(module)
                module.seal = _only_encode  # type: ignore[attr-defined]

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
            return spec

    sys.meta_path.insert(0, _Breaking())
