"""What the processes of a test cluster said to each other, byte for byte, while somebody listened."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

RECORDER = Path(__file__).parent / "recorder"
"""The folder that PYTHONPATH must name in a process that is to be listened to."""

_HEAD = struct.Struct("<IBI")
_CHUNK_LINE = re.compile(rb"\r\n[0-9a-fA-F]{1,6}\r\n")


class Recording:
    """The traffic of every process that was started with `environment`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def environment(self) -> Mapping[str, str]:
        """What processes must be started with."""
        return {"PYTHONPATH": str(RECORDER), "CANARY_TRAFFIC": str(self._folder)}

    @contextmanager
    def on(self) -> Iterator[None]:
        """The block runs while everybody is listened to."""
        switch = self._folder / "on"
        switch.touch()
        try:
            yield
        finally:
            switch.unlink()

    def streams(self) -> dict[str, bytes]:
        """By process (`portal`, `identity`, `gateway---departments`, …): all that went each way of each connection, one stream
        after the other, as it was sent and once more without the marks between the chunks of a body."""
        found: dict[str, bytes] = {}
        for file in sorted(self._folder.glob("*.traffic")):
            name = file.name.split(".")[0]
            streams = _streams(file.read_bytes())
            streams += [_CHUNK_LINE.sub(b"", each) for each in streams if _CHUNK_LINE.search(each)]
            found[name] = b"\n".join((found.get(name, b""), *streams))
        return found

    def clear(self) -> None:
        """Forgets what was recorded so far."""
        for file in self._folder.glob("*.traffic"):
            file.write_bytes(b"")


def _streams(data: bytes) -> list[bytes]:
    parts: dict[tuple[int, int], list[bytes]] = {}
    place = 0
    while place + _HEAD.size <= len(data):
        connection, direction, length = _HEAD.unpack_from(data, place)
        place += _HEAD.size
        parts.setdefault((connection, direction), []).append(data[place : place + length])
        place += length
    return [b"".join(pieces) for pieces in parts.values()]
