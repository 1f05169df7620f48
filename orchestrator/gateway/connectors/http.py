"""An HTTP/JSON system: rows by GET, or by a POST that the department's IT has listed as a call that only reads.

TLS is checked against the department's own certificates where it names some. Redirects are not followed, proxies of the
environment not used, answers limited in size. A field that is missing in a row is a fault unless its column is optional.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Awaitable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar
from urllib.parse import quote

import httpx

from orchestrator.domain.errors import Invalid
from orchestrator.gateway.connectors.cells import cell
from orchestrator.gateway.connectors.connector import Keys, Row, SourceFault, missing_columns, typed, wrong_cell
from orchestrator.gateway.connectors.oauth import Token
from orchestrator.gateway.layout import RequestLayout, Table
from orchestrator.gateway.sources import SOURCES_FILE, HttpSource, secret

_MISSING: Final = object()
_Result = TypeVar("_Result")


class HttpConnector:
    """One system, reached by one client."""

    def __init__(self, name: str, source: HttpSource, folder: Path) -> None:
        """`folder` holds certificates, keys and secrets. Raises Invalid when one of them is missing or wrong."""
        self._field = f"{SOURCES_FILE}.{name}"
        self._source = source
        self._tls = _tls(self._field, source, folder)
        self._token: Token | None = None
        if source.oauth2 is not None:
            field = f"{self._field}.oauth2.client_secret_file"
            self._token = Token(self._field, source.oauth2, secret(folder, source.oauth2.client_secret_file, field))
        self._parallel = asyncio.Semaphore(source.parallel)
        self._http: httpx.AsyncClient | None = None

    async def open(self) -> None:
        """Makes the client; connections are made when they are needed."""
        self._http = httpx.AsyncClient(
            verify=self._tls, timeout=self._source.timeout, follow_redirects=False, trust_env=False
        )

    async def close(self) -> None:
        """Ends every connection."""
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    async def fetch(self, name: str, table: Table, keys: Keys, most: int) -> list[Row]:
        """Rows that the system gives for the keys; see `Connector`."""
        request = table.request
        if request is None:
            raise SourceFault(
                f"{name}.request",
                "来源为 HTTP 的表须写 request",
                "a table in an HTTP system says how it is asked",
                "request: {path: '/v1/accounts/{value}'}",
            )
        if request.method != "GET" and f"{request.method} {request.path}" not in self._source.read_calls:
            raise SourceFault(
                f"{name}.request.method",
                "该调用未列为只读",
                "this call is not listed as one that only reads",
                f"确认其只读后写入 / once sure that it only reads, list it: {self._field}.read_calls: [{request.method} {request.path}]",
            )
        column, values = next(iter(keys.items())) if keys else ("", [])
        wanted: list[str] = [str(each) for each in typed(table.columns[column].type, values)] if keys else []
        calls: list[list[str]] = [[]]
        if keys is not None:
            size = request.batch if "values" in request.placeholders() else 1
            calls = [wanted[start : start + size] for start in range(0, len(wanted), size)]
        parts = await asyncio.gather(*(self._ask(name, table, request, column, call) for call in calls))
        return [row for part in parts for row in part][: most + 1]

    async def _ask(
        self, name: str, table: Table, request: RequestLayout, column: str, keys: Sequence[str]
    ) -> list[Row]:
        if "{value}" in request.path and keys[0] in (".", ".."):
            return []  # would be another path; nothing is recorded under it
        async with self._parallel:
            body = await self._answer(name, request, keys)
        if body is _MISSING:
            return []
        found = _at(body, request.rows)
        rows = found if isinstance(found, list) else [found]
        if found is _MISSING or found is None or not all(isinstance(row, dict) for row in rows):
            raise SourceFault(
                f"{name}.request.rows",
                f"应答的 {request.rows or '正文'} 不是记录",
                f"{request.rows or 'the body'} of the answer is no list of rows",
                "rows: data.items",
            )
        total = _at(body, request.total) if request.total is not None else len(rows)
        if not isinstance(total, int) or total > len(rows):
            raise SourceFault(
                f"{name}.request.total",
                "应答不完整:总数多于所给记录",
                "the answer is not whole: there are more rows than it gives",
                "减小 batch,或在 query 中提高每页条数 / a smaller batch, or larger pages by query",
            )
        single = keys[0] if len(keys) == 1 and "value" in request.placeholders() else None
        return [_row(name, table, row, column, single) for row in rows]

    async def _answer(self, name: str, request: RequestLayout, keys: Sequence[str]) -> Any:
        """The parsed answer; _MISSING where its status says that there is no such record."""
        for attempt in (0, 1):
            token = await self._guarded(self._token.get(self._client())) if self._token is not None else ""
            headers = {"accept": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
            status, content = await self._guarded(self._send(request, keys, headers))
            if status == 401 and self._token is not None and attempt == 0:
                self._token.refused(token)
                continue
            break
        if status in request.absent:
            return _MISSING
        if status != 200:
            raise self._status(name, status)
        try:
            return json.loads(content, parse_float=Decimal, parse_constant=_no_number)
        except (ValueError, RecursionError):
            raise SourceFault(
                f"{name}.request", "应答不是 JSON", "the answer is not JSON", "核对 path / check the path"
            ) from None

    async def _send(self, request: RequestLayout, keys: Sequence[str], headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Status and body of one request."""
        path = request.path.replace("{value}", quote(keys[0], safe="")) if keys else request.path
        query = {key: _filled_text(text, keys) for key, text in request.query.items()}
        body = _filled(request.body, keys) if request.body is not None else None
        content = bytearray()
        async with self._client().stream(
            request.method, self._source.url + path, params=query or None, json=body, headers=headers
        ) as response:
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) > self._source.max_bytes:
                    raise SourceFault(
                        f"{self._field}.max_bytes",
                        f"应答超过 {self._source.max_bytes} 字节",
                        f"an answer is larger than {self._source.max_bytes} bytes",
                        "减小 batch,或提高 max_bytes / a smaller batch, or raise max_bytes",
                    )
            return response.status_code, bytes(content)

    async def _guarded(self, work: Awaitable[_Result]) -> _Result:
        """Failures of the transport as faults of the source. Their messages may hold an address with a key in it."""
        try:
            return await work
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as error:
            raise SourceFault(
                self._field,
                f"系统无法连接({type(error).__name__})",
                f"the system cannot be reached ({type(error).__name__})",
                "核对 url、ca_file 与 certificate_file / check url, ca_file and certificate_file",
            ) from None

    def _status(self, name: str, status: int) -> SourceFault:
        remedies = {
            401: "核对证书与令牌权限 / check certificate and token",
            403: "核对证书与令牌权限 / check certificate and token",
            404: f"无记录时返回 404 的系统写 absent: [404] / where 404 means no record, write {name}.request.absent: [404]",
        }
        redirect = "不跟随重定向,改正 url / redirects are not followed, correct the url"
        return SourceFault(
            f"{name}.request",
            f"系统答复 HTTP {status}",
            f"the system answers HTTP {status}",
            remedies.get(status, redirect if 300 <= status < 400 else "查看该系统日志 / look into that system's log"),
        )

    def _client(self) -> httpx.AsyncClient:
        if self._http is None:
            raise RuntimeError("the connector is not open")
        return self._http


def _tls(field: str, source: HttpSource, folder: Path) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(folder / source.ca_file) if source.ca_file else None)
    except (OSError, ssl.SSLError):
        raise _unreadable(f"{field}.ca_file", source.ca_file or "") from None
    if source.certificate_file is not None and source.key_file is not None:
        secret(folder, source.key_file, f"{field}.key_file")
        phrase = source.key_passphrase_file
        # An empty passphrase rather than none: OpenSSL would ask at the terminal.
        text = secret(folder, phrase, f"{field}.key_passphrase_file") if phrase else ""
        try:
            context.load_cert_chain(folder / source.certificate_file, folder / source.key_file, password=text)
        except (OSError, ssl.SSLError):
            raise _unreadable(f"{field}.certificate_file", source.certificate_file) from None
    return context


def _unreadable(field: str, name: str) -> Invalid:
    return Invalid(
        field=field,
        code="bad-source",
        detail=f"{name} 不是可用的证书",
        detail_en=f"{name} is no certificate that can be used",
        remedy="PEM 格式;核对私钥口令 / PEM; check the key's passphrase",
    )


def _filled(body: Any, keys: Sequence[str]) -> Any:
    """A body with its placeholders filled in: `"{values}"` alone becomes a list."""
    if body == "{values}":
        return list(keys)
    if isinstance(body, str):
        return _filled_text(body, keys)
    if isinstance(body, Mapping):
        return {key: _filled(value, keys) for key, value in body.items()}
    return [_filled(value, keys) for value in body] if isinstance(body, list) else body


def _filled_text(text: str, keys: Sequence[str]) -> str:
    if "{values}" in text:
        # A key with a comma would be read as two.
        return text.replace("{values}", ",".join(key for key in keys if "," not in key))
    return text.replace("{value}", keys[0]) if keys else text


def _at(document: Any, path: str) -> Any:
    """What stands under a path of fields; _MISSING when there is no such field."""
    for step in path.split(".") if path else ():
        if not isinstance(document, dict) or step not in document:
            return _MISSING
        document = document[step]
    return document


def _row(name: str, table: Table, found: Any, column: str, key: str | None) -> Row:
    """A row as columns. A system asked for one key need not repeat it."""
    row: Row = {}
    for each, spec in table.columns.items():
        raw = _at(found, spec.source or each)
        if raw is _MISSING:
            if each == column and key is not None:
                raw = key
            elif spec.optional:
                raw = None
            else:
                raise missing_columns(name, {each: spec.source or each}, sorted(found))
        try:
            row[each] = cell(spec.type, raw)
        except ValueError:
            raise wrong_cell(name, each, spec.type) from None
    return row


def _no_number(_text: str) -> NoReturn:
    raise ValueError
