"""Looking for markers in whatever somebody could have hidden them in, on purpose or not.

A `Searcher` knows needles: markers in several encodings and digests of identifiers. It looks at data as it is and at everything
that can be decoded out of it, again and again: hex, base64 (both alphabets, every alignment, so also each part of a JWS), URL
encoding, JSON and HTML escapes, gzip and zlib. So one list of raw needles is enough.
"""

from __future__ import annotations

import binascii
import hashlib
import html
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.domain.canonical import keccak

WINDOW = 8
"""Bytes of a needle by which it is spotted: no needle is shorter."""

ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "gb18030")
DEPTH = 4
"""Encodings inside each other that are undone."""

DIGEST = 16
"""Leading bytes of a digest that are looked for: cutting it short does not hide it."""

_CHUNK = 1 << 22
_INFLATED = 1 << 26
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_BITS = 25

_ALGORITHMS: tuple[tuple[str, Callable[[bytes], bytes]], ...] = (
    *(
        (name, lambda data, name=name: hashlib.new(name, data).digest())
        for name in (
            "md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha512_256", "sha3_224", "sha3_256", "sha3_384",
            "sha3_512", "sm3",
        )
    ),
    ("keccak256", keccak),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Needle:
    """One form of one marker."""

    marker: str
    """The marker itself: what a test compares."""
    form: str
    """How it is written, e.g. `utf-16-le` or `sha256 of type:id`."""
    data: bytes
    alone: bool = False
    """Found only where no letter or digit stands beside it: short numbers occur in longer ones by chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Where something was found that should not be there."""

    place: str
    marker: str
    form: str
    way: str
    """The encodings that were undone, outermost first; empty when it lay there as it is."""

    @property
    def digest(self) -> bool:
        """Whether it is a digest of the marker rather than the marker."""
        return self.form not in ENCODINGS


def needles_of(marker: str, *, alone: bool = False) -> Iterator[Needle]:
    """A marker in every encoding in which it is long enough to be told from chance; letters also in lower case."""
    for text in dict.fromkeys((marker, marker.lower())):
        seen = set()
        for encoding in ENCODINGS:
            data = text.encode(encoding, "ignore")
            if len(data) >= WINDOW and data not in seen:
                seen.add(data)
                yield Needle(marker=marker, form=encoding, data=data, alone=alone)


def digests_of(kind: str, identifier: str, name: str) -> Iterator[Needle]:
    """Unsalted digests of an identifier, alone and in the compositions that come to mind."""
    compositions = {
        "id": identifier,
        "lower id": identifier.lower(),
        "type:id": f"{kind}:{identifier}",
        "type|id": f"{kind}|{identifier}",
        "type id": f"{kind} {identifier}",
        "type+id": f"{kind}{identifier}",
        "type,0,id": f"{kind}\0{identifier}",
        "id,0": f"{identifier}\0",
        "id,newline": f"{identifier}\n",
        "json id": f'"{identifier}"',
        "json {id}": f'{{"id":"{identifier}"}}',
        "json {id,type}": f'{{"id":"{identifier}","type":"{kind}"}}',
        "json {type,id}": f'{{"type":"{kind}","id":"{identifier}"}}',
        "commitment without salt": f"lianban.subject.v1\0{kind}\0{identifier}",
    }
    if name:
        compositions |= {
            "name+id": f"{name}{identifier}",
            "id+name": f"{identifier}{name}",
            "name:id": f"{name}:{identifier}",
            "id:name": f"{identifier}:{name}",
            "json {id,name,type}": f'{{"id":"{identifier}","name":"{name}","type":"{kind}"}}',
            "name": name,
        }
    for words, text in compositions.items():
        for algorithm, digest in _ALGORITHMS:
            found = digest(text.encode())[:DIGEST]
            yield Needle(marker=identifier, form=f"{algorithm} of {words}", data=found)
    for algorithm, digest in _ALGORITHMS:
        yield Needle(
            marker=identifier, form=f"{algorithm} of utf-16", data=digest(identifier.encode("utf-16-le"))[:DIGEST]
        )


class Searcher:
    """Looks for needles in data of any kind."""

    def __init__(self, needles: Iterable[Needle]) -> None:
        self._by_window: dict[int, list[Needle]] = {}
        self._clean: set[tuple[str, bytes]] = set()
        for needle in needles:
            if len(needle.data) < WINDOW:
                raise ValueError(f"a needle of {needle.form} is too short to be told from chance")
            window = int.from_bytes(needle.data[-WINDOW:], "little")
            self._by_window.setdefault(window, []).append(needle)
        self._table: NDArray[np.bool_] = np.zeros(1 << _BITS, dtype=bool)
        windows = np.array(list(self._by_window), dtype=np.uint64)
        self._table[_slots(windows)] = True

    def search(self, place: str, data: bytes) -> list[Finding]:
        """Every marker that lies in the data or in what can be decoded out of it, each form once."""
        found = {}
        runs = Runs(self._clean)
        for way, layer in layers(data, runs):
            for needle in self._in(layer):
                key = (needle.marker, needle.form)
                if key not in found:
                    found[key] = Finding(place=place, marker=needle.marker, form=needle.form, way=way)
        if not found:
            self._clean |= runs.seen
        return list(found.values())

    def _in(self, data: bytes) -> Iterator[Needle]:
        for start in range(0, len(data), _CHUNK):
            piece = data[start : start + _CHUNK + WINDOW - 1]
            for phase in range(WINDOW):
                count = (len(piece) - phase) // WINDOW
                if count <= 0:
                    continue
                windows = np.frombuffer(piece, dtype="<u8", count=count, offset=phase)
                for index in np.flatnonzero(self._table[_slots(windows)]):
                    end = start + phase + (int(index) + 1) * WINDOW
                    for needle in self._by_window.get(int(windows[index]), ()):
                        if _lies(data, end, needle):
                            yield needle


def _slots(windows: NDArray[np.uint64]) -> NDArray[np.uint64]:
    with np.errstate(over="ignore"):
        return (windows * _FACTOR) >> np.uint64(64 - _BITS)


def _lies(data: bytes, end: int, needle: Needle) -> bool:
    begin = end - len(needle.data)
    if begin < 0 or data[begin:end] != needle.data:
        return False
    return not needle.alone or not (data[max(begin - 1, 0) : begin].isalnum() or data[end : end + 1].isalnum())


class Runs:
    """Rows of hex or base64, remembered from place to place: the same tokens lie in many, and need be undone in one."""

    def __init__(self, clean: set[tuple[str, bytes]] | None = None) -> None:
        self._clean = clean if clean is not None else set()
        self.seen: set[tuple[str, bytes]] = set()
        """Those of this place, by encoding."""

    def new(self, encoding: str, runs: Iterable[bytes]) -> Iterator[bytes]:
        """The runs that are not known from places in which nothing was found."""
        for run in set(runs):
            if (encoding, run) not in self._clean:
                self.seen.add((encoding, run))
                yield run


def layers(data: bytes, runs: Runs) -> Iterator[tuple[str, bytes]]:
    """The data, and everything that decodes out of it, with the way there."""
    seen: set[bytes] = set()
    waiting = [("", data)]
    for depth in range(DEPTH + 1):
        following = []
        for way, layer in waiting:
            digest = hashlib.blake2b(layer).digest()
            if digest in seen:
                continue
            seen.add(digest)
            yield way, layer
            if depth < DEPTH:
                following += [
                    (f"{way} > {name}" if way else name, found)
                    for name, found in _decoded(layer, runs, binary=depth > 0 and not way.endswith("compressed"))
                ]
        waiting = following


_HEX = re.compile(rb"[0-9A-Fa-f]{16,}")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{11,}")
_ALL_HEX = re.compile(rb"[0-9a-fA-F]{32,}")
_LINES = re.compile(rb"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{60,}+(?:(?:\\r|\\n|\s)++[A-Za-z0-9+/]++)++")
_LINE_END = re.compile(rb"\\r|\\n|\s")
_ADDRESS = re.compile(rb"[^\s\"'<>&=;,\\]+")
_QUOTED = re.compile(rb'[^"\n]+')
_TEXT = re.compile(rb"[^<>\n]+")
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")
_UNITS = re.compile(rb"(?:\\+u[0-9A-Fa-f]{4})+")
_BYTE = re.compile(rb"\\+x([0-9A-Fa-f]{2})")
_BYTES = re.compile(rb"(?:\\+x[0-9A-Fa-f]{2}){2,}")
_PLAIN = re.compile(rb"[\t\n\r -~]{11,}")
_PACKED = re.compile(rb"\x1f\x8b\x08|\x78[\x01\x5e\x9c\xda]")
_STANDARD = bytes.maketrans(b"-_", b"+/")


def _decoded(data: bytes, runs: Runs, *, binary: bool) -> Iterator[tuple[str, bytes]]:
    """What lies in the data one encoding down: all pieces of a kind together, apart by line ends."""
    packed = b"\n".join(_inflated(data))
    if packed:
        yield "compressed", packed
    if binary:  # every encoding but compression is of plain letters, and chance makes few long rows of them
        data = b"\n".join(_PLAIN.findall(data))
    for name, pieces in (
        ("hex", _from_hex(data, runs)),
        ("base64", _from_base64(data, runs)),
        ("url", (_PERCENT.sub(_byte, piece) for piece in _pieces(data, _ADDRESS, b"%"))),
        ("json", (_UNITS.sub(_unit, piece) for piece in _pieces(data, _QUOTED, b"\\u"))),
        ("byte escapes", (_BYTE.sub(_byte, piece) for piece in _pieces(data, _QUOTED, b"\\x") if _BYTES.search(piece))),
        ("html", (html.unescape(each.decode("utf-8", "replace")).encode() for each in _pieces(data, _TEXT, b"&#"))),
    ):
        joined = b"\n".join(pieces)
        if joined:
            yield name, joined


def _pieces(data: bytes, shape: re.Pattern[bytes], sign: bytes) -> set[bytes]:
    """The pieces of that shape that hold the sign of an encoding."""
    return {piece for piece in shape.findall(data) if sign in piece} if sign in data else set()


def _from_hex(data: bytes, runs: Runs) -> Iterator[bytes]:
    for run in runs.new("hex", _HEX.findall(data)):
        for text in (run, run[1:]):
            yield bytes.fromhex(text[: len(text) & ~1].decode())


def _from_base64(data: bytes, runs: Runs) -> Iterator[bytes]:
    for run in runs.new(
        "base64", [*_BASE64.findall(data), *(_LINE_END.sub(b"", block) for block in _LINES.findall(data))]
    ):
        if _ALL_HEX.fullmatch(run):  # no such base64 comes about by chance, and there is much hex
            continue
        text = run.translate(_STANDARD)
        for skipped in range(4):
            part = text[skipped:]
            yield binascii.a2b_base64(part + b"A" * (-len(part) % 4))


def _byte(found: re.Match[bytes]) -> bytes:
    return bytes.fromhex(found[1].decode())


def _unit(found: re.Match[bytes]) -> bytes:
    units = bytes.fromhex(re.sub(rb"\\+u", b"", found[0]).decode())
    return units.decode("utf-16-be", "replace").encode()


def _inflated(data: bytes) -> Iterator[bytes]:
    view = memoryview(data)  # most places that look packed are not, and are not copied to find out
    for found in _PACKED.finditer(data):
        kind = zlib.MAX_WBITS | (16 if found[0].startswith(b"\x1f") else 0)
        try:
            plain = zlib.decompressobj(kind).decompress(view[found.start() :], _INFLATED)
        except zlib.error:
            continue
        if plain:
            yield plain
