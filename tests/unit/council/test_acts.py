from __future__ import annotations

import pytest
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.council.acts import (
    NOBODY,
    Act,
    CancelChange,
    ChangeStanding,
    GiveKeys,
    HandOver,
    TakeOver,
    decode,
    encode,
    title,
)
from orchestrator.domain.errors import Invalid
from tests.unit.council.material import acts, give_keys


@given(acts)
def test_decode__what_encode_made__the_same_act(act: Act) -> None:
    assert decode(encode(act)) == act


def test_encode__by_hand__selector_and_words() -> None:
    assert encode(ChangeStanding(kind="suspend", seat=7)) == keccak(b"suspend(uint8)")[:4] + bytes(31) + b"\x07"
    assert (
        encode(CancelChange(seat=1, change=9))
        == keccak(b"cancel(uint8,uint32)")[:4] + bytes(31) + b"\1" + bytes(31) + b"\x09"
    )
    assert encode(HandOver(to=NOBODY)) == keccak(b"transferOwnership(address)")[:4] + bytes(32)
    assert encode(TakeOver()) == keccak(b"acceptOwnership()")[:4]


@given(act=acts, data=st.data())
def test_decode__calldata_changed_anywhere__another_act_or_refused(act: Act, data: st.DataObject) -> None:
    raw = bytearray(encode(act))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        other = decode(bytes(raw))
    except Invalid:
        return
    assert other != act


@given(st.binary(max_size=200))
def test_decode__any_bytes__an_act_written_so_or_refused(data: bytes) -> None:
    try:
        act = decode(data)
    except Invalid:
        return
    assert encode(act) == data


@pytest.mark.parametrize("tail", [b"\0", bytes(32)])
def test_decode__bytes_behind_the_arguments__refused(tail: bytes) -> None:
    with pytest.raises(Invalid):
        decode(encode(ChangeStanding(kind="remove", seat=1)) + tail)


@pytest.mark.parametrize("signature", ["renounceOwnership()", "rotate(uint8,address,bytes,uint64,bytes,bytes)", "x()"])
def test_decode__a_function_that_is_no_act__refused(signature: str) -> None:
    with pytest.raises(Invalid) as caught:
        decode(keccak(signature.encode())[:4])
    assert caught.value.code == "no-act"


@given(acts)
def test_title__any_act__both_languages_in_one_line(act: Act) -> None:
    zh, en = title(act)
    assert zh
    assert en
    assert "\n" not in zh + en


def test_title__admission__names_the_department() -> None:
    assert title(give_keys("admit", 12)) == ("接纳新席位 12(部门12)", "admit seat 12 (Department 12)")
    nothing = GiveKeys(kind="admit", seat=1, signer=NOBODY, document=b"{}", signature=b"")
    assert "密钥文档无效" in title(nothing)[0]


def test_keyset__document_of_another_seat__none() -> None:
    act = give_keys("admit", 12)
    moved = GiveKeys(kind="admit", seat=13, signer=act.signer, document=act.document, signature=act.signature)
    assert moved.keyset is None
