"""Makes the vectors beside this file without any of our code: what contracts and Python share is in `tests/vectors/contracts`.

Run from the project folder: `.venv/bin/python tests/vectors/protocol/generate.py`. HPKE is RFC 9180 spelled out over X25519,
HMAC and AES-GCM; the hashes follow the text of docs/architecture.md; the canonical forms are those that RFC 8785 prints, and
others written out by hand. What the files hold is said in the README beside the other vectors.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from eth_utils.crypto import keccak

HERE = Path(__file__).parent
SUITE = b"HPKE" + bytes.fromhex("002000010002")
KEM = b"KEM" + bytes.fromhex("0020")


def digest(label: str) -> bytes:
    return hashlib.sha256(label.encode()).digest()


def hex32(label: str) -> str:
    return "0x" + digest(label).hex()


def sha256(data: bytes) -> str:
    return "0x" + hashlib.sha256(data).hexdigest()


def compact(value: Any) -> str:
    """Canonical JSON of values without fractions and with names in ASCII, which the standard library sorts just so."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def hashes() -> dict[str, list[dict[str, Any]]]:
    """Every hash of docs/architecture.md, by what it is a hash of."""
    edges, salts = (bytes(32), b"\xff" * 32, digest("mandate")), (bytes(32), b"\xff" * 32, digest("salt"))
    tokens = (
        "eyJhbGciOiJFUzI1NiJ9.e30.c2ln",
        "..",
        base64url(bytes(range(256))) + ".e30." + base64url(digest("s") * 2),
    )
    batches = [sha256(token.encode()) for token in tokens]
    return {
        "tagged": [tagged_hash(tag, parts) for tag, parts in tagged_parts(edges)],
        "mandate": [{"token": token, "hash": sha256(token.encode())} for token in tokens],
        "case": [
            {"mandate": token, "id": tagged("lianban.case.v1", hashlib.sha256(token.encode()).digest())}
            for token in tokens
        ],
        "question": [
            question(mandate, item, index, purpose)
            for mandate in edges
            for item, index, purpose in (
                ("applicant-household", 1, "decide"), ("applicant-household", 1, "push"), ("户籍", 0, "decide"),
                ("i" * 128, 255, "push"), ("🖼", 0, "push"),
            )
        ],
        "subject": [
            subject(salt, type_, id_)
            for salt in salts
            for type_, id_ in (
                ("citizen-number", "11019919900101001X"), ("uscc", "91110108MA01ABCD2X"), ("名称", "北京某某艺术馆🖼"), ("", ""),
                ("passport", "E\0 1"), ("a", "bc"), ("ab", "c"),
            )
        ],
        "object": [
            {"salt": "0x" + salt.hex(), "json": text, "hash": sha256(b"lianban.object.v1\0" + salt + text.encode())}
            for salt in salts
            for text in ('{"agent":false,"area":"300.00","区域":["海淀",null]}', "{}", '[1,-1,0,{"":""}]', '"\\n"', "null")
        ],
        "version": [document(each) for each in DEFINITIONS],
        "texts": [document(each) for each in TEXTS],
        "keyset": [{"json": compact(each), "hash": "0x" + keccak(compact(each).encode()).hex()} for each in keysets()],
        "thumbprint": [thumbprint(key) for key in JWKS],
        "disclosure": [
            {"disclosure": text, "digest": base64url(hashlib.sha256(text.encode()).digest())} for text in DISCLOSURES
        ],
        "sealed": [
            {"blob": base64url(blob), "hash": sha256(blob)} for blob in (b"", b"\0", bytes(range(256)), b"\xff" * 1024)
        ],
        "entry": [
            logged(batch, "0x" + part.hex(), attempt)
            for batch, part, attempt in zip(batches, edges, (1, 2, 2**32 - 1), strict=True)
        ],
    }  # fmt: skip


# The disclosure of RFC 9901, section 4.2.3, whose digest is printed there, and others.
DISCLOSURES = (
    "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0",
    base64url('["salt","name","陈画"]'.encode()),
    base64url(b'["","",null]'),
)
# RFC 8037, appendix A.3, whose thumbprint is printed there, and a P-256 key with members that a thumbprint leaves out.
JWKS: tuple[dict[str, str], ...] = (
    {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
    {"kty": "OKP", "crv": "X25519", "x": base64url(digest("x")), "use_for": "sealing"},
    {"use_for": "evidence", "y": base64url(digest("y")), "x": base64url(digest("x")), "crv": "P-256", "kty": "EC",
     "alg": "ES256"},
)  # fmt: skip
DEFINITIONS: tuple[dict[str, Any], ...] = (
    {"id": "gallery-opening", "approvers": [{"id": "lead"}], "evidence": [{"id": "lease", "keep": True, "days": 30}],
     "parameters": [{"id": "least-area", "values": [{"from": "2024-01-01", "value": "50.00"}]}], "decisions": {}},
    {},
)  # fmt: skip
TEXTS: tuple[dict[str, Any], ...] = (
    {"id": "gallery-opening", "texts": {"name": {"zh": "开办美术馆", "en": "Opening a gallery"},
                                        "evidence/lease/title": {"zh": "租赁合同\n“备案”", "en": 'Lease "filed"\t\\'}}},
    {"id": "", "texts": {}},
)  # fmt: skip


def p256(label: str) -> dict[str, str]:
    point = ec.derive_private_key(int.from_bytes(digest(label), "big"), ec.SECP256R1()).public_key().public_numbers()
    return {"kty": "EC", "crv": "P-256"} | {n: base64url(getattr(point, n).to_bytes(32, "big")) for n in ("x", "y")}


def published(key: dict[str, str], use: str) -> dict[str, str]:
    return key | {"use_for": use, "kid": thumbprint(key)["thumbprint"]}


def keysets() -> list[dict[str, Any]]:
    """The public documents of two seats, whose hash stands on chain."""
    sealing = {"kty": "OKP", "crv": "X25519", "x": base64url(digest("x"))}
    keys = [published(p256(use), use) for use in ("evidence", "request")] + [published(sealing, "sealing")]
    one = {
        "seat": 3, "id": "haidian-culture-tourism", "name": {"zh": "海淀区文化和旅游局", "en": "Haidian Culture and Tourism"},
        "uscc": "11110108MB1234567X", "region": "110108", "parent": None, "vertical": False,
        "hosted_by": "haidian-culture-tourism", "endpoint": "http://127.0.0.1:8443/seat", "keys": keys,
    }  # fmt: skip
    other = {"seat": 255, "parent": "北京", "vertical": True, "keys": [*keys, published(p256("identity"), "identity")]}
    return [one, one | other]


def tagged_parts(edges: Sequence[bytes]) -> list[tuple[str, list[bytes]]]:
    one, two, three = edges
    return [
        ("lianban.case.v1", [three]), ("lianban.question.v1", [one, two, three, three]), ("", []), ("标签", [one]),
        ("a", [one, two]), ("a", [two, one]), ("t" * 200, [three] * 9),
    ]  # fmt: skip


def tagged(tag: str, *parts: bytes) -> str:
    return "0x" + keccak(keccak(tag.encode()) + b"".join(parts)).hex()


def tagged_hash(tag: str, parts: Sequence[bytes]) -> dict[str, Any]:
    return {"tag": tag, "parts": ["0x" + part.hex() for part in parts], "hash": tagged(tag, *parts)}


def question(mandate: bytes, item: str, index: int, purpose: str) -> dict[str, Any]:
    words = hashlib.sha256(item.encode()).digest(), index.to_bytes(32, "big"), hashlib.sha256(purpose.encode()).digest()
    asked = {"mandate": "0x" + mandate.hex(), "item": item, "index": index, "purpose": purpose}
    return asked | {"id": tagged("lianban.question.v1", mandate, *words)}


def subject(salt: bytes, type_: str, id_: str) -> dict[str, str]:
    joined = b"lianban.subject.v1\0" + salt + type_.encode() + b"\0" + id_.encode()
    return {"salt": "0x" + salt.hex(), "type": type_, "id": id_, "commitment": sha256(joined)}


def document(value: Any) -> dict[str, Any]:
    return {"document": value, "hash": sha256(compact(value).encode())}


def thumbprint(key: dict[str, str]) -> dict[str, Any]:
    needed = {name: key[name] for name in ("crv", "kty", "x", "y") if name in key}
    return {"jwk": key, "thumbprint": base64url(hashlib.sha256(compact(needed).encode()).digest())}


def logged(batch: str, question_id: str, attempt: int) -> dict[str, Any]:
    entry = f'{{"attempt":{attempt},"batch":"{batch}","question":"{question_id}"}}'
    leaf = sha256(b"\0" + entry.encode())
    return {"batch": batch, "question": question_id, "attempt": attempt, "entry": entry, "leaf": leaf}


def canonical() -> dict[str, list[dict[str, str]]]:
    """RFC 8785: numbers by the bits of the double (appendix B), and texts with their canonical form (3.2.2, 3.2.3)."""
    numbers = {
        "0000000000000000": "0", "8000000000000000": "0", "0000000000000001": "5e-324", "8000000000000001": "-5e-324",
        "7fefffffffffffff": "1.7976931348623157e+308", "ffefffffffffffff": "-1.7976931348623157e+308",
        "4340000000000000": "9007199254740992", "c340000000000000": "-9007199254740992",
        "4430000000000000": "295147905179352830000", "44b52d02c7e14af5": "9.999999999999997e+22",
        "44b52d02c7e14af6": "1e+23", "44b52d02c7e14af7": "1.0000000000000001e+23",
        "444b1ae4d6e2ef4e": "999999999999999700000", "444b1ae4d6e2ef4f": "999999999999999900000",
        "444b1ae4d6e2ef50": "1e+21", "3eb0c6f7a0b5ed8c": "9.999999999999997e-7", "3eb0c6f7a0b5ed8d": "0.000001",
        "41b3de4355555553": "333333333.3333332", "41b3de4355555554": "333333333.33333325",
        "41b3de4355555555": "333333333.3333333", "41b3de4355555556": "333333333.3333334",
        "41b3de4355555557": "333333333.33333343", "becbf647612f3696": "-0.0000033333333333333333",
        "43143ff3c1cb0959": "1424953923781206.2",
    }  # fmt: skip
    texts = {
        r"""{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
            "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/", "literals": [null, true, false]}""": (
            r"""{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"""
            r""""string":"€$\u000f\nA'B\"\\\\\"/"}"""
        ),
        r"""{"\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh", "1": "One",
            "\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control", "\u00f6": "Latin Small Letter O With Diaeresis"}""": (
            '{"\\r":"Carriage Return","1":"One","\u0080":"Control","ö":"Latin Small Letter O With Diaeresis",'
            '"€":"Euro Sign","😀":"Emoji: Grinning Face","\ufb33":"Hebrew Letter Dalet With Dagesh"}'
        ),
        r'"\b\t\n\f\r\u0000\u001f\u007f\u2028"': '"\\b\\t\\n\\f\\r\\u0000\\u001f\x7f\u2028"',
        '{"b": {"z": 1, "a": [ ]}, "a": { }, "": [1, -1, 9007199254740991, -9007199254740991]}': (
            '{"":[1,-1,9007199254740991,-9007199254740991],"a":{},"b":{"a":[],"z":1}}'
        ),
        '{"10": 1, "9": 2, "1": 3}': '{"1":3,"10":1,"9":2}',
        '{"区域": "海淀", "e\u0301": 1, "é": 2}': '{"e\u0301":1,"é":2,"区域":"海淀"}',
        " null ": "null", "-0": "0", "1.0": "1", "[1e2, 1E-2, 0.5]": "[100,0.01,0.5]",
    }  # fmt: skip
    return {
        "numbers": [{"double": bits, "canonical": text} for bits, text in numbers.items()],
        "texts": [{"text": text, "canonical": form, "sha256": sha256(form.encode())} for text, form in texts.items()],
    }


def hpke() -> dict[str, Any]:
    """One sealed blob, RFC 9180 by hand: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, base mode."""

    def extract(salt: bytes, suite: bytes, label: bytes, value: bytes) -> bytes:
        return hmac.new(salt or bytes(32), b"HPKE-v1" + suite + label + value, hashlib.sha256).digest()

    def expand(secret: bytes, suite: bytes, label: bytes, info: bytes, length: int) -> bytes:
        labelled = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
        return hmac.new(secret, labelled + b"\1", hashlib.sha256).digest()[:length]

    receiver, ephemeral = (X25519PrivateKey.from_private_bytes(digest(name)) for name in ("receiver", "ephemeral"))
    public, enc = receiver.public_key().public_bytes_raw(), ephemeral.public_key().public_bytes_raw()
    shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(public))
    secret = expand(extract(b"", KEM, b"eae_prk", shared), KEM, b"shared_secret", enc + public, 32)
    question = hex32("question")
    info = b"lianban.answer.v1\0" + question.encode() + b"\0" + b"2\0" + b"3\0"
    context = b"\0" + extract(b"", SUITE, b"psk_id_hash", b"") + extract(b"", SUITE, b"info_hash", info)
    key_secret = extract(secret, SUITE, b"secret", b"")
    key, nonce = (expand(key_secret, SUITE, label, context, n) for label, n in ((b"key", 32), (b"base_nonce", 12)))
    plaintext = '["披露"]'.encode()
    padded = plaintext + b"\x80" + bytes(511 - len(plaintext))
    blob = enc + AESGCM(key).encrypt(nonce, padded, b"")
    return {
        "private": "0x" + digest("receiver").hex(), "question": question, "attempt": 2, "seat": 3,
        "info": "0x" + info.hex(), "plaintext": plaintext.decode(),
        "blob": base64.urlsafe_b64encode(blob).rstrip(b"=").decode(),
    }  # fmt: skip


def rows(document: dict[str, Any]) -> str:
    """JSON with a line for each member or row, so that a change of one vector is a change of one line."""

    def shown(value: Any) -> str:
        if not isinstance(value, list):
            return json.dumps(value, ensure_ascii=False)
        return "[\n" + ",\n".join("  " + json.dumps(each, ensure_ascii=False) for each in value) + "\n ]"

    return "{\n" + ",\n".join(f" {json.dumps(name)}: {shown(value)}" for name, value in document.items()) + "\n}\n"


if __name__ == "__main__":
    for make in (hashes, canonical, hpke):
        (HERE / f"{make.__name__}.json").write_text(rows(make()), encoding="utf-8")
