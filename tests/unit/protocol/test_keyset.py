"""Keyset documents, chain accounts, and key files."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from eth_account import Account
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.canonical import canonical
from orchestrator.domain.errors import Invalid, Refused
from orchestrator.protocol.jose import SigningKey, sign_jws, verify_jws
from orchestrator.protocol.keyfolder import keep_past_sealing, load_seat_keys, save_seat_keys
from orchestrator.protocol.keyset import Keyset, SeatKeys, SigningAccount, generate_seat_keys
from orchestrator.protocol.sealing import SealingKey, seal, unseal
from orchestrator.protocol.sheet import recover

KEYS = generate_seat_keys(identity=True)


def a_keyset(**changes: object) -> Keyset:
    fields = {
        "seat": 3, "id": "haidian-culture-tourism", "name": {"zh": "海淀区文化和旅游局", "en": "Culture and Tourism"},
        "uscc": "11110108MBXY00036B", "region": "110108", "parent": None, "vertical": False,
        "hosted_by": "haidian-culture-tourism", "endpoint": "http://127.0.0.1:9003", "keys": tuple(KEYS.public_jwks()),
    }  # fmt: skip
    return Keyset(**(fields | changes))


def test_document__a_keyset__canonical_and_reads_back() -> None:
    keyset = a_keyset()
    document = keyset.document()
    assert Keyset.parse(document) == keyset
    assert document == canonical(json.loads(document))
    assert keyset.hash == keccak(document)
    assert set(json.loads(document)) == {
        "seat", "id", "name", "uscc", "region", "parent", "vertical", "hosted_by", "endpoint", "keys",
    }  # fmt: skip


def test_key__by_use__the_public_key_only() -> None:
    keyset = a_keyset()
    assert keyset.key("evidence")["kid"] == KEYS.evidence.kid
    assert keyset.key("sealing")["kid"] == KEYS.sealing.kid
    assert keyset.key("identity")["kid"] == KEYS.identity.kid
    assert all("d" not in jwk for jwk in keyset.keys)
    without = a_keyset(keys=tuple(generate_seat_keys().public_jwks()))
    with pytest.raises(Invalid):
        without.key("identity")


@pytest.mark.parametrize(
    "changes",
    [{"seat": 256}, {"seat": -1}, {"seat": True}, {"seat": "3"}, {"id": ""}, {"endpoint": "http://x/"},
     {"endpoint": "ftp://x"}, {"name": {"zh": "一"}}, {"name": "一"}, {"parent": 3}, {"vertical": 1}, {"keys": ()},
     {"keys": tuple(KEYS.public_jwks()[:2])}, {"keys": (*KEYS.public_jwks(), KEYS.public_jwks()[0])},
     {"keys": tuple({**jwk, "kid": f"{i}"} for i, jwk in enumerate(KEYS.public_jwks()))},
     {"keys": tuple({**jwk, "use_for": "other"} for jwk in KEYS.public_jwks())},
     {"keys": tuple({**jwk, "d": "AA"} for jwk in KEYS.public_jwks())},
     {"keys": tuple({**KEYS.evidence.jwk, "use_for": use} for use in ("evidence", "request", "sealing"))},
     {"keys": (*({**KEYS.evidence.jwk, "use_for": use} for use in ("evidence", "request")),
               {**KEYS.sealing.jwk, "use_for": "sealing"})}],
)  # fmt: skip
def test_keyset__faulty_field__refused(changes: dict) -> None:
    with pytest.raises(Invalid):
        a_keyset(**changes)


@pytest.mark.parametrize(
    "spoil",
    [lambda d: d + b" ", lambda d: json.dumps(json.loads(d)).encode(), lambda d: b"[]", lambda d: b"", lambda d: d[:-1],
     lambda d: canonical({**json.loads(d), "extra": 1}),
     lambda d: canonical({k: v for k, v in json.loads(d).items() if k != "parent"}),
     lambda d: canonical({**json.loads(d), "keys": {}}), lambda d: canonical({**json.loads(d), "keys": [1]})],
)  # fmt: skip
def test_parse__not_exactly_a_canonical_document__refused(spoil) -> None:
    with pytest.raises(Invalid):
        Keyset.parse(spoil(a_keyset().document()))


def test_keyset__frozen__cannot_change() -> None:
    with pytest.raises(AttributeError):
        a_keyset().seat = 4  # type: ignore[misc]
    assert replace(a_keyset(), seat=4).hash != a_keyset().hash


@given(st.binary(min_size=32, max_size=32))
def test_sign_hash__any_digest__recovers_and_equals_eth_account(digest: bytes) -> None:
    signature = KEYS.chain.sign_hash(digest)
    assert recover(digest, signature) == KEYS.chain.address == Account.from_key(KEYS.chain.secret).address
    assert signature == Account.unsafe_sign_hash(digest, KEYS.chain.secret).signature


def test_save_and_load__round_trip__same_keys_and_only_owner_reads(tmp_path: Path) -> None:
    folder = tmp_path / "seat"
    save_seat_keys(KEYS, folder, "密码 phrase")
    loaded = load_seat_keys(folder, "密码 phrase")
    assert loaded.chain.address == KEYS.chain.address
    assert loaded.public_jwks() == KEYS.public_jwks()
    token = sign_jws({"a": 1}, typ="t", key=loaded.evidence)
    assert verify_jws(token, typ="t", jwk=KEYS.evidence.jwk) == {"a": 1}
    assert unseal(loaded.sealing, seal(KEYS.sealing.jwk, b"x", info=b"", pad_to=8), info=b"") == b"x"
    names = sorted(os.listdir(folder))
    assert names == ["chain.json", "evidence.pem", "identity.pem", "request.pem", "sealing.pem"]
    assert all(stat.S_IMODE((folder / name).stat().st_mode) == 0o600 for name in names)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert Account.decrypt((folder / "chain.json").read_text(), "密码 phrase") == KEYS.chain.secret
    assert all(b"ENCRYPTED" in (folder / name).read_bytes() for name in names if name.endswith(".pem"))


def test_load__only_some__others_not_held(tmp_path: Path) -> None:
    save_seat_keys(generate_seat_keys(), tmp_path, "p")
    loaded = load_seat_keys(tmp_path, "p", only={"evidence"})
    assert loaded.evidence.kid
    for use in ("chain", "request", "sealing", "identity"):
        with pytest.raises(Invalid) as caught:
            getattr(loaded, use)
        assert caught.value.code == "key-not-held"
    assert not load_seat_keys(tmp_path, "p").has_identity
    with pytest.raises(Invalid):
        load_seat_keys(tmp_path, "p", only={"identity"})
    with pytest.raises(ValueError):
        load_seat_keys(tmp_path, "p", only={"master"})


@pytest.mark.parametrize("name", ["chain.json", "evidence.pem", "sealing.pem"])
def test_load__wrong_passphrase_missing_or_damaged__refused(tmp_path: Path, name: str) -> None:
    save_seat_keys(KEYS, tmp_path, "right")
    use = name.partition(".")[0]
    with pytest.raises(Invalid):
        load_seat_keys(tmp_path, "wrong", only={use})
    (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(Invalid):
        load_seat_keys(tmp_path, "right", only={use})
    (tmp_path / name).unlink()
    with pytest.raises(Invalid):
        load_seat_keys(tmp_path, "right", only={use})


def test_load__key_of_another_type__refused(tmp_path: Path) -> None:
    (tmp_path / "evidence.pem").write_bytes(SealingKey.generate().pem("p"))
    (tmp_path / "sealing.pem").write_bytes(SigningKey.generate().pem("p"))
    for use in ("evidence", "sealing"):
        with pytest.raises(Invalid):
            load_seat_keys(tmp_path, "p", only={use})


def test_save__keys_already_there__refused_and_untouched(tmp_path: Path) -> None:
    save_seat_keys(KEYS, tmp_path, "p")
    with pytest.raises(Invalid):
        save_seat_keys(generate_seat_keys(), tmp_path, "p")
    assert load_seat_keys(tmp_path, "p").chain.address == KEYS.chain.address


def test_repr__private_keys__show_no_secret() -> None:
    text = repr([KEYS.chain, KEYS.evidence, KEYS.sealing])
    assert KEYS.chain.secret.hex() not in text
    assert repr(SeatKeys()).startswith("<")
    assert repr(SigningAccount(b"\1" * 32)) == "SigningAccount(0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1)"


def test_keep_past_sealing__a_folder_s_keys_replaced_twice__all_open(tmp_path: Path) -> None:
    first, second, third = (generate_seat_keys() for _ in range(3))
    for name, keys, passphrase in (("1", first, "one"), ("2", second, "two"), ("3", third, "three")):
        save_seat_keys(keys, tmp_path / name, passphrase)
    sealed = seal(first.sealing.jwk, b"open case", info=b"i", pad_to=512)
    with pytest.raises(Refused):
        unseal(load_seat_keys(tmp_path / "3", "three").sealing, sealed, info=b"i")
    assert keep_past_sealing(load_seat_keys(tmp_path / "1", "one").sealing, tmp_path / "2", "two") == 1
    for _ in range(2):
        assert keep_past_sealing(load_seat_keys(tmp_path / "2", "two").sealing, tmp_path / "3", "three") == 2
    opened = load_seat_keys(tmp_path / "3", "three", {"sealing"}).sealing
    assert opened.kid == third.sealing.kid
    assert {key.kid for key in opened.past} == {first.sealing.kid, second.sealing.kid}
    assert unseal(opened, sealed, info=b"i") == b"open case"
    for file in (tmp_path / "3" / "past").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert b"ENCRYPTED" in file.read_bytes()
    assert stat.S_IMODE((tmp_path / "3" / "past").stat().st_mode) == 0o700


def test_keep_past_sealing__the_present_key__refused(tmp_path: Path) -> None:
    save_seat_keys(KEYS, tmp_path, "one")
    with pytest.raises(Invalid) as caught:
        keep_past_sealing(KEYS.sealing, tmp_path, "one")
    assert caught.value.code == "present-key"


def test_load__replaced_sealing_key_that_does_not_open__refused(tmp_path: Path) -> None:
    save_seat_keys(KEYS, tmp_path, "one")
    keep_past_sealing(SealingKey.generate(), tmp_path, "one")
    (file,) = (tmp_path / "past").iterdir()
    file.write_bytes(SealingKey.generate().pem("other"))
    with pytest.raises(Invalid) as caught:
        load_seat_keys(tmp_path, "one")
    assert caught.value.field.startswith("past/")
