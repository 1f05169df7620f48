"""A chain key with a signing service: a real node's account, and services that are down, refuse or lie."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import structlog.testing
from eth_account import Account
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.domain.canonical import from_hex, keccak, to_hex
from orchestrator.domain.case import Status
from orchestrator.domain.errors import Invalid, Unavailable
from orchestrator.protocol import sheet
from orchestrator.protocol.keyfolder import load_seat_keys
from orchestrator.protocol.keyset import SigningAccount
from orchestrator.protocol.sheet import Binding, Domain, Statement, Transition, recover

WORD = keccak(b"word")
DOMAIN = Domain(chain_id=31337, contract="0x5FbDB2315678afecb367f032d93F642f64180aa3")
SIGNER = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
MOVES = [
    Transition(
        case_id=WORD, root=keccak(n.to_bytes(2, "big")), status=Status.APPROVED, sequence=n, binding=(1 << 40) - n
    )
    for n in (1, 2, 65535)
]
BINDING = Binding(
    version=WORD, region=110108, identity=2, operator=0, approvers=(3, 4), providers=(), valid_until=(1 << 64) - 1
)
STATEMENTS = {
    "sheet": sheet.sheet_digest(DOMAIN, 3, (1 << 64) - 1, MOVES),
    "head": sheet.head_digest(DOMAIN, 3, (1 << 48) - 1, WORD),
    "admission": sheet.admission_digest(DOMAIN, 255, SIGNER, WORD),
    "rotation": sheet.rotation_digest(DOMAIN, 3, SIGNER, WORD, 1 << 60, 7),
    "recovery": sheet.recovery_digest(DOMAIN, 3, SIGNER, WORD, 7),
    "succession": sheet.succession_digest(DOMAIN, 3, SIGNER, WORD, 7),
    "veto": sheet.veto_digest(DOMAIN, 3, 7),
    "publication": sheet.publication_digest(DOMAIN, '办 "画廊"', WORD, WORD, 3),
    "texts": sheet.texts_digest(DOMAIN, WORD, WORD, 2, 3),
    "binding": sheet.binding_digest(DOMAIN, BINDING),
    "retirement": sheet.retirement_digest(DOMAIN, 1 << 39, 3),
}
PRIVATE = SigningAccount.generate()


def chain_key(folder: Path, **described: Any) -> Any:
    (folder / "keys.yaml").write_text(json.dumps({"chain": described}))
    return load_seat_keys(folder, "", {"chain"}).chain


@contextmanager
def service(answer: Any) -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    """A signing service whose answers `answer(path, body)` makes: a status and a text. With what it was asked."""
    asked: list[tuple[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            asked.append((self.path, body))
            status, text = answer(self.path, body)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("name", STATEMENTS)
def test_sign__account_of_a_real_node__as_the_key_in_memory_would(
    name: str, node: str, account: str, tmp_path: Path
) -> None:
    key = chain_key(tmp_path, kind="json-rpc", url=node, address=account)
    signature = key.sign_hash(STATEMENTS[name])
    assert recover(STATEMENTS[name], signature) == key.address == account
    assert {file.name for file in tmp_path.iterdir()} == {"keys.yaml"}


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 255), st.integers(0, (1 << 64) - 1), st.binary(min_size=32, max_size=32))
def test_sign__any_head__the_node_hashes_it_as_we_do(
    node: str, account: str, tmp_path: Path, seat: int, size: int, root: bytes
) -> None:
    digest = sheet.head_digest(DOMAIN, seat, size, root)
    key = chain_key(tmp_path, kind="json-rpc", url=node, address=account)
    assert recover(digest, key.sign_hash(digest)) == account


def test_sign__web3signer__is_given_the_preimage_under_its_public_key(tmp_path: Path) -> None:
    public = to_hex(bytes(Account.from_key(PRIVATE.secret)._key_obj.public_key.to_bytes()))

    def answer(_path: str, body: Any) -> tuple[int, str]:
        return 200, to_hex(PRIVATE.sign_hash(keccak(from_hex(body["data"], None))))

    with service(answer) as (url, asked):
        key = chain_key(tmp_path, kind="web3signer", url=url, public_key=public)
        for statement in STATEMENTS.values():
            assert key.sign_hash(statement) == PRIVATE.sign_hash(statement)
    assert key.address == PRIVATE.address
    assert {path for path, _ in asked} == {f"/api/v1/eth1/sign/{public}"}
    assert {len(body["data"]) for _, body in asked} == {2 + 2 * 66}


def test_sign__bare_bytes__never_sent(tmp_path: Path) -> None:
    with service(lambda *_: (200, "{}")) as (url, asked):
        key = chain_key(tmp_path, kind="json-rpc", url=url, address=SIGNER)
        with pytest.raises(Invalid) as bare:
            key.sign_hash(bytes(STATEMENTS["head"]))
    assert (bare.value.code, asked) == ("not-a-statement", [])


LIES = {
    "another key": lambda: SigningAccount.generate().sign_hash(STATEMENTS["head"]).hex(),
    "another statement": lambda: PRIVATE.sign_hash(STATEMENTS["veto"]).hex(),
    "not hex": lambda: "zz",
    "too short": lambda: PRIVATE.sign_hash(STATEMENTS["head"])[:64].hex(),
    "nothing": lambda: None,
}


@pytest.mark.parametrize("lie", LIES)
def test_sign__service_lies__signature_never_leaves(lie: str, tmp_path: Path) -> None:
    answer = json.dumps({"jsonrpc": "2.0", "id": 1, "result": LIES[lie]()})
    with service(lambda *_: (200, answer)) as (url, _), pytest.raises(Unavailable) as caught:
        chain_key(tmp_path, kind="json-rpc", url=url, address=PRIVATE.address).sign_hash(STATEMENTS["head"])
    assert caught.value.code == "signer-down"


REFUSALS = {
    "locked": (200, '{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"locked: hunter2"}}'),
    "html": (502, "<html>hunter2"),
    "a list": (200, "[]"),
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_sign__service_refuses__unavailable_with_remedy_and_without_its_words(refusal: str, tmp_path: Path) -> None:
    with service(lambda *_: REFUSALS[refusal]) as (url, asked), structlog.testing.capture_logs() as logged:
        key = chain_key(tmp_path, kind="json-rpc", url=url, address=PRIVATE.address)
        for _ in range(3):
            with pytest.raises(Unavailable) as caught:
                key.sign_hash(STATEMENTS["head"])
    assert len(asked) == 1, "left alone after a failure"
    assert url in caught.value.remedy
    assert "hunter2" not in f"{caught.value} {caught.value.detail_en} {logged}"
    assert logged[0]["event"] == "signer-failed"


def test_sign__nobody_there__unavailable(tmp_path: Path) -> None:
    with service(lambda *_: (200, "")) as (url, _):
        pass
    with pytest.raises(Unavailable) as caught:
        chain_key(tmp_path, kind="json-rpc", url=url, address=SIGNER).sign_hash(STATEMENTS["head"])
    assert caught.value.code == "signer-down"


def test_statement__is_its_digest_and_knows_its_preimage() -> None:
    for statement in STATEMENTS.values():
        assert isinstance(statement, Statement)
        assert keccak(statement.preimage) == statement
        assert statement.typed_data()["domain"]["verifyingContract"] == DOMAIN.contract


@pytest.mark.parametrize(
    ("described", "field"),
    [
        ({"kind": "json-rpc", "url": "http://signer.example", "address": SIGNER}, "keys.yaml.chain.0.url"),
        ({"kind": "json-rpc", "url": "https://u:p@signer.example", "address": SIGNER}, "keys.yaml.chain.0.url"),
        ({"kind": "json-rpc", "url": "https://signer.example", "address": "0x12"}, "keys.yaml.chain.0.address"),
        ({"kind": "web3signer", "url": "https://signer.example", "public_key": SIGNER}, "keys.yaml.chain.0.public_key"),
        ({"kind": "vault"}, "keys.yaml.chain.0"),
        ({"kind": "json-rpc", "url": "https://signer.example", "address": SIGNER, "pin": "1"}, "keys.yaml.chain.0.pin"),
        ({"kind": "json-rpc", "url": "https://s.example", "address": SIGNER, "ca_file": "no.pem"}, "keys.chain"),
        (
            {"kind": "pkcs11", "module": "lib.so", "token": "t", "label": "l", "pin_file": "p"},
            "keys.yaml.chain.0.module",
        ),
    ],
)
def test_read__faulty_description__invalid_names_the_field(
    described: dict[str, str], field: str, tmp_path: Path
) -> None:
    with pytest.raises(Invalid) as faulty:
        chain_key(tmp_path, **described)
    assert (faulty.value.field, faulty.value.code) == (field, "bad-key-description")
    assert "u:p" not in str(faulty.value.detail_en)
