from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.council.acts import KeysKind, decode, encode
from orchestrator.council.agreements import Agreement, agree, parse_agreement, read_agreement, write_agreement
from orchestrator.domain.errors import Invalid
from orchestrator.protocol.sheet import Domain
from tests.unit.council.material import ACCOUNTS, CONSORTIUM, a_keyset, seats

DOMAIN = Domain(chain_id=31337, contract=CONSORTIUM)


def an_agreement(kind: KeysKind = "succeed", seat: int = 3, change: int = 2) -> Agreement:
    return agree(kind, DOMAIN, a_keyset(seat), ACCOUNTS[1], 0 if kind == "admit" else change)


@given(kind=st.sampled_from(("admit", "recover", "succeed")), seat=seats, change=st.integers(1, 2**32 - 1))
def test_read__what_was_written__the_same_agreement_and_act(
    tmp_path_factory: pytest.TempPathFactory, kind: KeysKind, seat: int, change: int
) -> None:
    agreement = an_agreement(kind, seat, change)
    file = tmp_path_factory.mktemp("a") / "a.json"
    write_agreement(file, agreement)
    assert read_agreement(file) == agreement
    act = agreement.act()
    assert (act.kind, act.seat, act.signer, act.keyset) == (kind, seat, ACCOUNTS[1].address, agreement.keyset)
    assert decode(encode(act)) == act


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("signature", lambda d: d.update(kind="recover")),
        ("signature", lambda d: d.update(change=3)),
        ("signature", lambda d: d.update(chain_id=1)),
        ("signature", lambda d: d.update(consortium=ACCOUNTS[0].address)),
        ("signature", lambda d: d.update(signer=ACCOUNTS[0].address)),
        ("signature", lambda d: d.update(keyset=a_keyset(4).document().decode())),
        ("signature", lambda d: d.update(signature="0x" + "00" * 65)),
        ("change", lambda d: d.update(change=0)),
        ("change", lambda d: d.update(kind="admit")),
        ("signer", lambda d: d.update(signer=d["signer"].lower())),
        ("keyset.document", lambda d: d.update(keyset="{}")),
        ("keyset.document", lambda d: d.update(keyset=" " + d["keyset"])),
        ("kind", lambda d: d.update(kind="remove")),
        ("extra", lambda d: d.update(extra=1)),
        ("signature", lambda d: d.pop("signature")),
    ],
)
def test_parse__changed_file__refused_naming_the_field(
    tmp_path: Path, field: str, change: Callable[[dict[str, Any]], object]
) -> None:
    write_agreement(tmp_path / "a.json", an_agreement())
    content = json.loads((tmp_path / "a.json").read_text())
    change(content)
    with pytest.raises(Invalid) as caught:
        parse_agreement(json.dumps(content).encode())
    assert caught.value.field == field
    assert caught.value.remedy


@given(st.one_of(st.binary(max_size=64), st.text(max_size=64).map(lambda text: json.dumps(text).encode())))
def test_parse__any_bytes__refused(content: bytes) -> None:
    with pytest.raises(Invalid):
        parse_agreement(content)


def test_read__no_such_file__refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid):
        read_agreement(tmp_path / "none.json")
