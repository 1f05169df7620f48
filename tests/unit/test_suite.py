"""The suite: its own primitives against others', and that no other module names an algorithm."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain import suite

PACKAGE = Path(suite.__file__).parents[1]
NAMES = re.compile(
    r"sha-?(1|2|3|224|256|384|512)(?!\d)|\bmd5|\b(hs|rs|ps|es)(256|384|512)k?\b|\bp-?(256|384|521)\b|secp\d|prime256|\b[xX]?25519"
    r"|ed25519|x25519|\bhkdf|\baes|aesgcm|chacha|ecdsa|ecdh|ellipticcurve|\bsm[2349]\b|coincurve|hashlib|\bhmac\.(new|digest)",
    re.IGNORECASE,
)
ALLOWED = {
    "domain/suite.py": "names them all",
    "domain/canonical.py": "Keccak is the EVM's own hash, whatever the suite",
    "devnet/postgres.py": "the database's own word for how it checks passwords",
    "identity/accounts.py": "a password's scrypt record says its own parameters",
}


def spoken(source: str) -> list[str]:
    """Everything that a module does with names: identifiers, attributes and strings, but no docstrings and comments."""
    tree = ast.parse(source)
    explained = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    }
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str() as text) if id(node) not in explained:
                # SQL's comments explain, as docstrings do.
                found.append(re.sub(r"--.*|comment on [^;]*;", "", text))
            case ast.Name(id=name) | ast.alias(name=name) | ast.Attribute(attr=name):
                found.append(name)
            case ast.ImportFrom(module=str() as module):
                found.append(module)
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.arg(arg=name):
                found.append(name)
            case _:
                pass
    return found


def test_suite__every_other_module__names_no_algorithm() -> None:
    named = {
        f"{file.relative_to(PACKAGE)}: {each}"
        for file in sorted(PACKAGE.rglob("*.py"))
        if str(file.relative_to(PACKAGE)) not in ALLOWED
        for each in spoken(file.read_text("utf-8"))
        if NAMES.search(each)
    }
    assert named == set()


def test_suite__every_other_script_of_the_pages__names_no_algorithm() -> None:
    scripts = sorted((PACKAGE / "portal" / "static").glob("*.js"))
    assert "suite.js" in {script.name for script in scripts}
    for script in scripts:
        if script.name != "suite.js":
            assert NAMES.findall(re.sub(r"(?m)^\s*//.*$", "", script.read_text("utf-8"))) == [], script.name


@pytest.mark.parametrize(
    "line",
    [
        "import hashlib",
        "x = {'alg': 'ES256'}",
        "def sha256(): ...",
        "a.AES_GCM",
        "f'须为 P-256 私钥'",
        "from q import x25519",
    ],
)
def test_spoken__a_line_that_names_one__is_found(line: str) -> None:
    assert any(NAMES.search(each) for each in spoken(line))


def test_spoken__docstring_comment_and_sql_comment__may_explain() -> None:
    source = '"""SHA-256."""\nx = "create table t ();\\n-- SHA-256 of it"  # ES256\n'
    assert not any(NAMES.search(each) for each in spoken(source))


@given(st.binary(max_size=300), st.binary(max_size=40))
def test_unseal_by__only_the_agreed_secret_from_elsewhere__opens_what_others_sealed(text: bytes, info: bytes) -> None:
    private = X25519PrivateKey.generate()
    public = private.public_key()
    other = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)

    def agree(point: bytes) -> bytes:
        return private.exchange(X25519PublicKey.from_public_bytes(point))

    sealed = other.encrypt(text, public, info)
    assert suite.unseal_by(agree, public.public_bytes_raw(), sealed, info) == text
    with pytest.raises(ValueError, match="open"):
        suite.unseal_by(agree, public.public_bytes_raw(), sealed, info + b"x")
    with pytest.raises(ValueError, match="open"):
        suite.unseal_by(lambda _: bytes(32), public.public_bytes_raw(), sealed, info)


@pytest.mark.parametrize("length", [0, 31, 32, 47])
def test_unseal_by__cut_short__does_not_open(length: int) -> None:
    with pytest.raises(ValueError, match="open"):
        suite.unseal_by(lambda _: b"\1" * 32, b"\2" * 32, b"\3" * length, b"")


@given(st.binary(min_size=32, max_size=32), st.booleans(), st.booleans())
def test_chain_signature__made_elsewhere__is_what_we_would_have_made(digest: bytes, high: bool, with_v: bool) -> None:
    private = suite.chain_private()
    good = suite.chain_sign(private, digest)
    s = int.from_bytes(good[32:64], "big")
    foreign = good[:32] + ((suite.CHAIN_ORDER - s) if high else s).to_bytes(32, "big") + (b"\0" if with_v else b"")
    assert suite.chain_signature(suite.chain_point(private), digest, foreign) == good
    changed = bytes((digest[0] ^ 1,)) + digest[1:]
    for point, over in ((suite.chain_point(suite.chain_private()), digest), (suite.chain_point(private), changed)):
        with pytest.raises(ValueError, match="by this key"):
            suite.chain_signature(point, over, foreign)


@given(st.binary(max_size=200), st.integers(0, 63))
def test_is_signature__changed_or_high__does_not_count(data: bytes, place: int) -> None:
    private = suite.generate_signing()
    jwk = suite.signing_jwk(suite.signing_point(private))
    good = suite.sign(private, data)
    high = good[:32] + (suite.SIGNING_ORDER - int.from_bytes(good[32:], "big")).to_bytes(32, "big")
    changed = good[:place] + bytes((good[place] ^ 1,)) + good[place + 1 :]
    assert [suite.is_signature(jwk, data, each) for each in (good, suite.lower(high), high, changed, good[:-1])] == [
        True,
        True,
        False,
        False,
        False,
    ]
