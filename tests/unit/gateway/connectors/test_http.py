"""HTTP/JSON systems: a real HTTPS server with its own CA, a token endpoint, client certificates, and what goes wrong there."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from orchestrator.domain.errors import Invalid
from orchestrator.gateway.connectors.connector import Keys, Row, SourceFault
from orchestrator.gateway.connectors.http import HttpConnector
from orchestrator.gateway.layout import Table
from orchestrator.gateway.sources import HttpSource
from tests.support.https_system import SECRET, Authority, HttpsSystem, https_system, private_file

HELD: list[dict[str, Any]] = [
    {"id": "A1", "debt": 120.50, "owner": {"name": "甲"}, "opened": "2020-01-01"},
    {"id": "B/2", "debt": 0, "owner": {"name": "乙"}, "opened": None},
    {"id": "C3", "owner": {"name": "丙"}, "opened": None},
]
COLUMNS = {
    "zh": {"type": "varchar(20)", "comment": "-", "source": "id"},
    "qf": {"type": "numeric(10,2)", "comment": "-", "source": "debt"},
    "hm": {"type": "text", "comment": "-", "source": "owner.name"},
}
ONE = {"path": "/api/accounts/{value}"}
MANY = {
    "path": "/api/accounts/search",
    "method": "POST",
    "body": {"by": "id", "keys": "{values}"},
    "batch": 2,
    "rows": "data.items",
    "total": "data.total",
}
ROW = {"zh": "A1", "qf": "120.50", "hm": "甲"}


def table(request: dict[str, Any], **columns: Any) -> Table:
    return Table.model_validate({"columns": {**COLUMNS, **columns}, "look_up": {"zh": "s.id"}, "request": request})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[HttpsSystem, Path]]:
    folder = tmp_path_factory.mktemp("system")
    private_file(folder / "client.secret", SECRET + "\n")
    with https_system(folder, tables={"accounts": HELD}) as system:
        yield system, folder


@pytest.fixture
def system(server: tuple[HttpsSystem, Path]) -> Iterator[HttpsSystem]:
    system, _ = server
    system.asked.clear()
    system.tokens.clear()
    yield system
    system.status, system.pause, system.lasts = 0, 0, 3600


@pytest.fixture
def folder(server: tuple[HttpsSystem, Path]) -> Path:
    return server[1]


def source(system: HttpsSystem, **given: Any) -> HttpSource:
    settings: dict[str, Any] = {
        "kind": "http",
        "url": system.url,
        "ca_file": "ca.pem",
        "read_calls": ["POST /api/accounts/search"],
        "oauth2": {"token_url": f"{system.url}/token", "client_id": "gateway", "client_secret_file": "client.secret"},
    }
    return HttpSource.model_validate({**settings, **given})


async def fetched(connector: HttpConnector, *calls: tuple[Table, Keys]) -> list[list[Row]]:
    await connector.open()
    try:
        return [await connector.fetch("accounts", table, keys, 100) for table, keys in calls]
    finally:
        await connector.close()


def fetch(source: HttpSource, folder: Path, table: Table, keys: Keys) -> list[Row]:
    [rows] = asyncio.run(fetched(HttpConnector("system", source, folder), (table, keys)))
    return rows


def test_fetch__one_by_one__path_is_encoded_digits_are_kept(system: HttpsSystem, folder: Path) -> None:
    rows = fetch(source(system), folder, table(ONE), {"zh": ["A1", "B/2"]})

    assert rows == [ROW, {"zh": "B/2", "qf": "0.00", "hm": "乙"}]
    assert sorted(system.asked) == ["GET /api/accounts/A1", "GET /api/accounts/B%2F2"]


@pytest.mark.parametrize("secret_in", ["header", "body"])
def test_fetch__many_at_once__in_batches(system: HttpsSystem, folder: Path, secret_in: str) -> None:
    own = source(system)
    assert own.oauth2 is not None
    own = own.model_copy(update={"oauth2": own.oauth2.model_copy(update={"secret_in": secret_in})})

    rows = fetch(own, folder, table(MANY, qf={**COLUMNS["qf"], "optional": True}), {"zh": ["A1", "B/2", "C3", "none"]})

    assert [(row["zh"], row["qf"]) for row in rows] == [("A1", "120.50"), ("B/2", "0.00"), ("C3", None)]
    assert system.asked == ["POST /api/accounts/search"] * 2
    assert len(system.tokens) == 1


def test_fetch__token_ends__renewed_before_and_after_a_refusal(system: HttpsSystem, folder: Path) -> None:
    system.lasts = 0.4

    async def run() -> None:
        connector = HttpConnector("system", source(system), folder)
        await connector.open()
        try:
            for _ in range(2):
                assert await connector.fetch("accounts", table(ONE), {"zh": ["A1"]}, 9) == [ROW]
            assert len(system.tokens) == 1  # still in force
            await asyncio.sleep(0.5)
            assert await connector.fetch("accounts", table(ONE), {"zh": ["A1"]}, 9) == [ROW]
            assert (len(system.tokens), len(system.asked)) == (2, 3)  # renewed by the clock, without a refusal
            system.lasts = 3600
            await asyncio.sleep(0.5)
            assert await connector.fetch("accounts", table(ONE), {"zh": ["A1"]}, 9) == [ROW]
            before, refused = len(system.tokens), len(system.asked)
            for token in system.tokens:
                system.tokens[token] = 0  # withdrawn by the server, out of turn
            assert await connector.fetch("accounts", table(ONE), {"zh": ["A1"]}, 9) == [ROW]
            assert (len(system.tokens), len(system.asked)) == (before + 1, refused + 2)
        finally:
            await connector.close()

    asyncio.run(run())


def test_fetch__wrong_secret__fault_without_it(system: HttpsSystem, folder: Path) -> None:
    private_file(folder / "wrong.secret", "not-the-secret")
    own = source(system)
    assert own.oauth2 is not None
    own = own.model_copy(update={"oauth2": own.oauth2.model_copy(update={"client_secret_file": "wrong.secret"})})

    with pytest.raises(SourceFault) as caught:
        fetch(own, folder, table(ONE), {"zh": ["A1"]})

    assert caught.value.field == "sources.yaml.system.oauth2"
    assert "not-the-secret" not in str(caught.value)


def test_fetch__client_certificate__let_in_and_nobody_without(tmp_path: Path) -> None:
    clients = Authority(tmp_path, "clients")
    clients.issue("gateway", server=False, passphrase="open")
    private_file(tmp_path / "phrase", "open")
    own = {
        "certificate_file": "gateway.pem",
        "key_file": "gateway.key",
        "key_passphrase_file": "phrase",
        "oauth2": None,
    }
    with https_system(tmp_path, client_ca=clients.file, tables={"accounts": HELD}, tokens_needed=False) as system:
        assert fetch(source(system, **own), tmp_path, table(ONE), {"zh": ["A1"]}) == [ROW]
        with pytest.raises(SourceFault, match="cannot be reached"):
            fetch(source(system, oauth2=None), tmp_path, table(ONE), {"zh": ["A1"]})
        private_file(tmp_path / "phrase", "wrong")
        with pytest.raises(Invalid) as caught:
            HttpConnector("system", source(system, **own), tmp_path)
        assert caught.value.field == "sources.yaml.system.certificate_file"


def test_fetch__another_authority__not_trusted(system: HttpsSystem, folder: Path, tmp_path: Path) -> None:
    Authority(folder, "stranger")

    with pytest.raises(SourceFault, match="cannot be reached"):
        fetch(source(system, ca_file="stranger.pem"), folder, table(ONE), {"zh": ["A1"]})
    with pytest.raises(SourceFault, match="cannot be reached"):  # the machine's own do not know it either
        fetch(source(system, ca_file=None), folder, table(ONE), {"zh": ["A1"]})
    assert system.asked == []


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_request__a_method_that_writes__no_adapter_can_say_it(method: str) -> None:
    with pytest.raises(ValidationError):
        table({**MANY, "method": method})


def test_fetch__post_that_the_department_did_not_list__never_sent(system: HttpsSystem, folder: Path) -> None:
    for calls in ((), ("POST /api/accounts/searches",), ("POST /api/accounts",)):
        with pytest.raises(SourceFault) as caught:
            fetch(source(system, read_calls=calls), folder, table(MANY), {"zh": ["A1"]})
        assert caught.value.field == "accounts.request.method"
    with pytest.raises(ValidationError):
        source(system, read_calls=["DELETE /api/accounts/A1"])
    assert system.asked == []


@pytest.mark.parametrize("key", ["..", ".", "../../token", "a?x=1", "a#b", "a%2f", "甲"])
def test_fetch__hostile_key__stays_one_step_of_the_path(system: HttpsSystem, folder: Path, key: str) -> None:
    own = table({**ONE, "absent": [404]})

    assert fetch(source(system), folder, own, {"zh": [key]}) == []
    for line in system.asked:
        assert line.startswith("GET /api/accounts/")
        assert line.count("/") == 3
        assert not set("?#") & set(line)


@pytest.mark.parametrize("status", [302, 307, 400, 403, 404, 429, 500])
def test_fetch__other_statuses__faults_and_no_redirect_is_followed(
    system: HttpsSystem, folder: Path, status: int
) -> None:
    system.status = status
    with pytest.raises(SourceFault, match=f"HTTP {status}") as caught:
        fetch(source(system), folder, table(ONE), {"zh": ["A1"]})

    assert caught.value.remedy
    assert "A1" not in str(caught.value)
    assert len(system.asked) == 1


@pytest.mark.parametrize(
    ("request_", "keys", "field"),
    [
        (ONE, {"zh": ["C3"]}, "accounts.columns.qf.source"),
        ({**ONE, "rows": "items"}, {"zh": ["A1"]}, "accounts.request.rows"),
        ({**ONE, "rows": "owner.name"}, {"zh": ["A1"]}, "accounts.request.rows"),
        ({**ONE, "total": "debt"}, {"zh": ["A1"]}, "accounts.request.total"),
        ({**MANY, "total": "data.nothing"}, {"zh": ["A1"]}, "accounts.request.total"),
    ],
)
def test_fetch__answer_not_as_the_adapter_says__fault_names_the_field(
    system: HttpsSystem, folder: Path, request_: dict[str, Any], keys: dict[str, list[str]], field: str
) -> None:
    with pytest.raises(SourceFault) as caught:
        fetch(source(system), folder, table(request_), keys)

    assert caught.value.field == field


def test_fetch__wrong_type__fault_without_the_value(system: HttpsSystem, folder: Path) -> None:
    own = table(ONE, hm={"type": "integer", "comment": "-", "source": "owner.name"})
    with pytest.raises(SourceFault) as caught:
        fetch(source(system), folder, own, {"zh": ["A1"]})

    assert caught.value.field == "accounts.columns.hm"
    assert "甲" not in str(caught.value) + caught.value.remedy


def test_fetch__answer_too_large__fault(system: HttpsSystem, folder: Path) -> None:
    system.tables = {"accounts": [{**HELD[0], "remark": "x" * 5000}]}
    try:
        with pytest.raises(SourceFault, match="larger than"):
            fetch(source(system, max_bytes=2048), folder, table(ONE), {"zh": ["A1"]})
    finally:
        system.tables = {"accounts": HELD}


def test_fetch__slow_system__fault_in_time(system: HttpsSystem, folder: Path) -> None:
    system.pause = 1.5
    started = time.monotonic()
    with pytest.raises(SourceFault, match="ReadTimeout"):
        fetch(source(system, timeout=0.3), folder, table(ONE), {"zh": ["A1"]})

    assert time.monotonic() - started < 1.4


def test_fetch__logs_of_the_process__hold_no_key(
    system: HttpsSystem, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from orchestrator import logs

    before = logging.root.handlers[:], logging.root.level
    logs.configure()
    try:
        assert not logging.getLogger("httpx").isEnabledFor(logging.INFO)
        assert not logging.getLogger("httpcore").isEnabledFor(logging.DEBUG)
        fetch(source(system), folder, table(ONE), {"zh": ["A1"]})
        assert "A1" not in caplog.text
    finally:
        logging.root.handlers[:], logging.root.level = before


@pytest.mark.parametrize(
    "url", ["http://example.org", "ftp://127.0.0.1", "https://u:p@example.org", "https://example.org/?key=1"]
)
def test_source__address_without_tls_or_with_secrets__invalid(url: str) -> None:
    with pytest.raises(ValidationError):
        HttpSource.model_validate({"kind": "http", "url": url})
