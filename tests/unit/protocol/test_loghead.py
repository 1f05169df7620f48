"""Signed log heads and dated statements: whose, of which log, and nothing else taken for one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.canonical import to_hex
from orchestrator.domain.errors import Invalid, Refused
from orchestrator.protocol.jose import SigningKey, sign_jws
from orchestrator.protocol.keyset import SigningAccount
from orchestrator.protocol.loghead import SignedHead, read_statement, sign_statement
from orchestrator.protocol.sheet import Domain, head_digest

KEY = SigningKey.generate()
ACCOUNT = SigningAccount.generate()
LEDGER = Domain(chain_id=77, contract="0x" + "ab" * 20)
ROOTS = st.binary(min_size=32, max_size=32)
SIZES = st.integers(0, (1 << 48) - 1)


def signed(seat: int, size: int, root: bytes) -> SignedHead:
    signature = to_hex(ACCOUNT.sign_hash(head_digest(LEDGER, seat, size, root)))
    return SignedHead(seat=seat, size=size, root=to_hex(root), signature=signature)


@given(seat=st.integers(0, 255), size=SIZES, root=ROOTS)
def test_signer__any_head__who_signed_it(seat: int, size: int, root: bytes) -> None:
    head = signed(seat, size, root)
    assert head.signer(LEDGER) == ACCOUNT.address
    for other in (
        head.model_copy(update={"size": size ^ 1}),
        head.model_copy(update={"root": to_hex(bytes(b ^ 1 for b in root))}),
        head.model_copy(update={"seat": seat ^ 1}),
    ):
        assert _signer(other, LEDGER) != ACCOUNT.address
    assert _signer(head, Domain(chain_id=78, contract=LEDGER.contract)) != ACCOUNT.address


@given(size=SIZES, root=ROOTS, iat=st.integers(0, (1 << 48) - 1))
def test_statement__any__read_as_signed(size: int, root: bytes, iat: int) -> None:
    jws = sign_statement(LEDGER, 3, size, to_hex(root), iat=iat, key=KEY)
    said = read_statement(jws, KEY.jwk)
    assert (said.iss, said.size, said.root, said.iat) == ("seat:3", size, to_hex(root), iat)
    assert (said.chain.id, said.chain.ledger) == (77, LEDGER.contract)
    with pytest.raises(Refused):
        read_statement(jws, SigningKey.generate().jwk)


def test_statement__of_another_type_or_with_other_fields__refused() -> None:
    with pytest.raises(Refused):
        read_statement(sign_jws({"iss": "seat:3"}, typ="lianban-recall+jwt", key=KEY), KEY.jwk)
    with pytest.raises(Invalid):
        read_statement(sign_jws({"iss": "seat:3"}, typ="lianban-log+jwt", key=KEY), KEY.jwk)


@pytest.mark.parametrize(
    "value", [None, [], {}, {"seat": 1}, "x", {"seat": 256, "size": 1, "root": "0x", "signature": ""}]
)
def test_parse__no_head__invalid(value: object) -> None:
    with pytest.raises(Invalid):
        SignedHead.parse(value)


def test_parse__head_beside_more__the_head() -> None:
    head = signed(1, 5, bytes(32))
    assert SignedHead.parse({**head.model_dump(mode="json"), "statement": "a.b.c"}) == head


def _signer(head: SignedHead, ledger: Domain) -> str | None:
    try:
        return head.signer(ledger)
    except Refused:
        return None
