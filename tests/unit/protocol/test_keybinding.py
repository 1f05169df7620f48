"""Key binding: only whoever holds the key in `cnf` shows a credential, for one reader, and only what they chose to show."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey

from orchestrator.domain.canonical import b64, unb64
from orchestrator.domain.errors import Refused
from orchestrator.domain.suite import SIGNING_ORDER, hash_of
from orchestrator.protocol.credential import Presentation
from orchestrator.protocol.jose import SigningKey, sign_jws
from orchestrator.protocol.keybinding import TYP, bind, read_binding

NOW = 1_800_000_000
HOLDER, OTHER = SigningKey.generate(), SigningKey.generate()
SHOWN = Presentation(jwt="a.b.c", disclosures=("one", "two"))


def bound(**changes: Any) -> Presentation:
    given: dict[str, Any] = {"audience": "bank", "nonce": "n-1", "now": NOW, **changes}
    return bind(SHOWN, HOLDER, **given)


def refused(shown: Presentation, key: SigningKey = HOLDER) -> bool:
    with pytest.raises(Refused) as caught:
        read_binding(shown, key.jwk)
    return caught.value.code == "bad-binding"


def test_binding__by_the_holder__says_for_whom_and_when() -> None:
    found = read_binding(Presentation.parse(bound().text()), HOLDER.jwk)
    assert (found.audience, found.nonce, found.made_at) == ("bank", "n-1", NOW)


def test_binding__missing_or_of_another_key__refused() -> None:
    assert refused(SHOWN)
    assert refused(bound(), OTHER)


@pytest.mark.parametrize("disclosures", [(), ("one",), ("two", "one"), ("one", "two", "three")])
def test_binding__more_or_less_shown_than_bound__refused(disclosures: tuple[str, ...]) -> None:
    assert refused(Presentation(jwt="a.b.c", disclosures=disclosures, binding=bound().binding))
    assert refused(Presentation(jwt="a.b.d", disclosures=SHOWN.disclosures, binding=bound().binding))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_binding__one_character_changed__never_read(data: st.DataObject) -> None:
    text = bound().text()
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from("ABCDwxyz0189-_~."))
    changed = text[:place] + other + text[place + 1 :]
    if changed == text:
        return
    try:
        shown = Presentation.parse(changed)
        read_binding(shown, HOLDER.jwk)
    except Refused:
        return
    raise AssertionError(f"character {place} may be changed")


@pytest.mark.parametrize(
    ("typ", "payload"),
    [
        ("dc+sd-jwt", {}),
        (TYP, {"aud": None}),
        (TYP, {"nonce": ""}),
        (TYP, {"iat": "now"}),
        (TYP, {"sd_hash": None}),
        (TYP, {"sd_hash": b64(hash_of(b"a.b.c~one~"))}),
    ],
)
def test_binding__signed_but_faulty__refused(typ: str, payload: dict[str, Any]) -> None:
    good = {"iat": NOW, "aud": "bank", "nonce": "n", "sd_hash": b64(hash_of(b"a.b.c~one~two~"))}
    assert not payload or payload.items() != good.items()
    token = sign_jws(good | payload, typ=typ, key=HOLDER)
    assert refused(Presentation(jwt="a.b.c", disclosures=SHOWN.disclosures, binding=token))


def test_binding__by_another_library_with_a_high_s_and_no_kid__read() -> None:
    key = ECKey.generate_key("P-256")
    payload = {"iat": NOW, "aud": "bank", "nonce": "n", "sd_hash": b64(hash_of(SHOWN.bound_part().encode())), "more": 1}
    token = jws.serialize_compact({"alg": "ES256", "typ": TYP}, json.dumps(payload).encode(), key)
    head, _, tail = token.rpartition(".")
    signature = unb64(tail)
    s = int.from_bytes(signature[32:], "big")
    flipped = f"{head}.{b64(signature[:32] + (SIGNING_ORDER - s).to_bytes(32, 'big'))}"
    for each in (token, flipped):
        shown = Presentation(jwt="a.b.c", disclosures=SHOWN.disclosures, binding=each)
        assert read_binding(shown, key.as_dict(private=False)).audience == "bank"
