"""`seal.js` and `presentation.js` against the Python protocol, on the wire format, through Node's own WebCrypto: what one side seals the other
opens, and canonical JSON is the same bytes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.canonical import b64, canonical, unb64
from orchestrator.domain.errors import Refused
from orchestrator.protocol.contest import APPLICANT, REASON, SealedText, open_statement, reason_document
from orchestrator.protocol.credential import (
    Credential,
    Presentation,
    issue_credential,
    open_credential,
    present,
    read_credential,
)
from orchestrator.protocol.jose import SigningKey
from orchestrator.protocol.keybinding import bind, read_binding
from orchestrator.protocol.material import SealedForm, SealedMaterial, open_form, open_material, seal_document
from orchestrator.protocol.sdjwt import make_disclosures
from orchestrator.protocol.sealing import SealingKey, seal, unseal
from tests.support.node import node

INFO = b"lianban.test\0"
CASE = "0x" + "ab" * 32
KEYS = {3: SealingKey.generate(), 11: SealingKey.generate()}
RECIPIENTS = {str(seat): key.jwk for seat, key in KEYS.items()}
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SAFE = 2**53 - 1  # beyond it a browser cannot tell a whole number from its neighbours, and refuses it
NUMBERS = st.one_of(st.integers(-SAFE, SAFE), st.floats(-SAFE, SAFE))
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def private_parts(key: SealingKey) -> dict[str, str]:
    return {"d": b64(key.holder.private.private_bytes_raw()), "x": key.jwk["x"]}


@settings(max_examples=3)
@given(st.lists(JSON, min_size=40, max_size=40))
def test_canonical__any_json__same_bytes_as_python(values: list[Any]) -> None:
    texts = node("say(given.map(s.canonical));", values)

    assert [text.encode() for text in texts] == [canonical(value) for value in values]


def test_canonical__keys_beyond_the_basic_plane__ordered_by_utf16() -> None:
    value = {"\ufb33": 1, "\U0001f600": 2, "é": 3, "1": 4}

    assert node("say(s.canonical(given));", value).encode() == canonical(value)


@pytest.mark.parametrize("value", ["2 ** 53", "NaN", "Infinity", "undefined", "[undefined]", "'\\ud800'", "{a: 1n}"])
def test_canonical__what_json_cannot_say__refused(value: str) -> None:
    assert node(f"let failed = false; try {{ s.canonical({value}); }} catch {{ failed = true; }} say(failed);", None)


def test_seal_statement__in_the_browser__opened_by_its_department_alone() -> None:
    script = """
        const files = [{filename: "a.pdf", media_type: "application/pdf", content: s.unb64(given.content)}];
        say(await s.sealStatement(given.why, files, given.recipients));
    """
    said = {"why": "住所已变更 «é»", "content": b64(b"%PDF"), "recipients": {"3": KEYS[3].jwk}}

    sealed = SealedText.model_validate(node(script, said))

    opened = open_statement(sealed, seat=3, key=KEYS[3])
    assert (opened.why, opened.attachments[0].content) == ("住所已变更 «é»", b64(b"%PDF"))
    with pytest.raises(Refused):
        open_statement(sealed, seat=3, key=KEYS[11])


def test_open_reason__sealed_by_the_department__read_in_the_browser_unless_it_is_another_than_was_signed() -> None:
    key = SealingKey.generate()
    digest, sealed = seal_document(REASON, reason_document("登记无误"), {APPLICANT: key.jwk})
    script = """
        const reply = `e30.${s.b64(new TextEncoder().encode(JSON.stringify({reason: given.hash})))}.x`;
        const own = await pair(given.d, given.x);
        try { say(await s.openReason(reply, given.sealed, own)); } catch { say(null); }
    """
    known = {"hash": digest, "sealed": sealed[APPLICANT], **private_parts(key)}

    assert node(script, known) == "登记无误"
    assert node(script, known | {"hash": "0x" + "00" * 32}) is None


@pytest.mark.parametrize("size", [0, 1, 31, 1022, 1023, 1024, 5000])
def test_seal__in_the_browser__opened_by_python(size: int) -> None:
    key, plaintext = KEYS[3], bytes(range(256)) * 20
    script = "say(await s.seal(given.jwk, s.unb64(given.text), s.unb64(given.info), 1024));"

    blob = node(script, {"jwk": key.jwk, "text": b64(plaintext[:size]), "info": b64(INFO)})

    assert unseal(key, blob, info=INFO) == plaintext[:size]
    assert (len(unb64(blob)) - 48) % 1024 == 0
    with pytest.raises(Refused):
        unseal(key, blob, info=INFO + b"other\0")
    with pytest.raises(Refused):
        unseal(KEYS[11], blob, info=INFO)


def test_unseal__sealed_by_python__opened_in_the_browser_for_its_purpose_alone() -> None:
    key, plaintext = KEYS[3], "电子证照 credential".encode() + b"\0\x80\0"
    blob = seal(key.jwk, plaintext, info=INFO, pad_to=512)
    script = """
    const key = await pair(given.d, given.x), other = await s.newDeliveryKey();
    const refused = async (...how) => { try { await s.unseal(...how); return false; } catch { return true; } };
    const info = s.unb64(given.info), flipped = s.unb64(given.blob);
    flipped[40] ^= 1;
    say({
      text: s.b64(await s.unseal(key, given.blob, info)),
      otherPurpose: await refused(key, given.blob, Uint8Array.of(...info, ...info)),
      otherKey: await refused(other, given.blob, info),
      changed: await refused(key, s.b64(flipped), info),
    });
    """

    said = node(script, {**private_parts(key), "blob": blob, "info": b64(INFO)})

    assert said == {"text": b64(plaintext), "otherPurpose": True, "otherKey": True, "changed": True}


def test_seal__key_of_small_order__refused() -> None:
    script = """
    let failed = false;
    try { await s.seal({x: given}, new Uint8Array(1), new Uint8Array(1), 16); } catch { failed = true; }
    say(failed);
    """
    assert node(script, b64(bytes(32)))


def test_seal_material__in_the_browser__every_approver_opens_it() -> None:
    content = bytes(range(256)) * 300
    script = """
    const content = s.unb64(given.content);
    say(await s.sealMaterial({ id: "power-of-attorney", filename: "委托书.pdf", media_type: "application/pdf", content,
      fields: { valid_until: "2027-01-31", amount: "12.50", "名": true } }, given.recipients));
    """

    sealed = SealedMaterial.model_validate(node(script, {"content": b64(content), "recipients": RECIPIENTS}))

    for seat, key in KEYS.items():
        opened = open_material(sealed, seat=seat, key=key)
        assert (opened.id, opened.filename, opened.content) == ("power-of-attorney", "委托书.pdf", content)
        assert opened.fields == {"valid_until": "2027-01-31", "amount": "12.50", "名": True}
    with pytest.raises(Refused, match="does not open"):
        open_material(sealed.model_copy(update={"id": "photo"}), seat=3, key=KEYS[3])


def test_seal_form__in_the_browser__values_and_listed_materials_as_given() -> None:
    script = """
    const listed = [{ id: "photo", hash: "0x" + "11".repeat(32), sealed: { "3": "left out" } }];
    say(await s.sealForm({ sells_relics: false, share: "33.30", list: [{ name: "甲" }] }, listed, given));
    """

    form = open_form(SealedForm.model_validate(node(script, RECIPIENTS)), seat=11, key=KEYS[11])

    assert form.values == {"sells_relics": False, "share": "33.30", "list": [{"name": "甲"}]}
    assert [(each.id, each.hash) for each in form.materials] == [("photo", "0x" + "11" * 32)]


def credential(delivery: SealingKey, signer: SigningKey, holder: dict[str, str] | None = None) -> dict[str, Any]:
    issued = issue_credential(
        seat=3,
        vct="urn:lianban:credential:test",
        integrity="sha256-" + "A" * 43 + "=",
        case=CASE,
        ledger="0x" + "12" * 20,
        chain_id=31337,
        claims={"holder_name": "陈画", "number": "2026-0001", "valid": True},
        delivery=delivery.jwk,
        holder=holder,
        iat=1_770_000_000,
        exp=None,
        key=signer,
    )
    return {"jwt": issued.jwt, "sealed": issued.sealed, "status": 3}


def test_open_credential__sealed_by_python__claims_and_a_presentation_that_verifies() -> None:
    delivery, signer = SealingKey.generate(), SigningKey.generate()
    given = {"credential": credential(delivery, signer), "case": CASE, **private_parts(delivery)}

    opened = node("say(await s.openCredential(given.credential, given.case, await pair(given.d, given.x)));", given)

    assert opened["claims"] == {"holder_name": "陈画", "number": "2026-0001", "valid": True}
    assert opened["payload"]["status"]["lianban_case"]["case"] == CASE
    jwt, *disclosures, end = opened["presentation"].split("~")
    assert end == ""
    assert read_credential(jwt, disclosures, signer.jwk).claims == opened["claims"]


def test_open_credential__disclosures_of_another_credential__refused() -> None:
    delivery, signer = SealingKey.generate(), SigningKey.generate()
    mixed = {**credential(delivery, signer), "jwt": credential(delivery, signer)["jwt"]}
    script = """
    let failed = false;
    const key = await pair(given.d, given.x);
    try { await s.openCredential(given.credential, given.case, key); } catch { failed = true; }
    say(failed);
    """
    assert node(script, {"credential": mixed, "case": CASE, **private_parts(delivery)})


def test_read_presentation__as_the_browser_saves_it__issuer_and_claims() -> None:
    delivery, signer = SealingKey.generate(), SigningKey.generate()
    given = {
        "credential": credential(delivery, signer),
        "case": CASE,
        "keys": {"3": [signer.jwk | {"until": None}]},
        **private_parts(delivery),
    }
    script = """
    const { presentation } = await s.openCredential(given.credential, given.case, await pair(given.d, given.x));
    const { issuer, payload, claims } = await p.readPresentation(` ${presentation}\n`, given.keys);
    say({ issuer, claims, case: payload.status.lianban_case.case });
    """
    claims = {"holder_name": "陈画", "number": "2026-0001", "valid": True}

    assert node(script, given) == {"issuer": "3", "claims": claims, "case": CASE}


def test_read_presentation__changed_in_any_way__named() -> None:
    delivery, signer, other = SealingKey.generate(), SigningKey.generate(), SigningKey.generate()
    issued = credential(delivery, signer)
    opened = open_credential(Credential(jwt=issued["jwt"], sealed=issued["sealed"]), CASE, delivery)
    header, payload, signature = issued["jwt"].split(".")
    foreign = make_disclosures({"holder_name": "别人"})["holder_name"]
    forged = b64(unb64(payload).replace(b"31337", b"31338"))
    faults = {
        "form": ["x~", f"{header}.{payload}~", f"{header}.!.{signature}~"],
        "key": [present(credential(delivery, other)["jwt"], [])],
        "signature": [present(f"{header}.{forged}.{signature}", opened)],
        "binding": [present(issued["jwt"], opened) + "a.b.c", issued["jwt"] + "~x"],
        "disclosure": [
            present(issued["jwt"], [foreign]),
            present(issued["jwt"], [opened[0], opened[0]]),
        ],
    }
    script = """
    const fault = async (text) => { try { await p.readPresentation(text, given.keys); } catch (e) { return e.message; } };
    const said = {};
    for (const [name, texts] of Object.entries(given.faults)) said[name] = await Promise.all(texts.map(fault));
    say(said);
    """

    said = node(script, {"faults": faults, "keys": {"3": [signer.jwk | {"until": None}]}})

    assert said == {name: [name] * len(texts) for name, texts in faults.items()}


@pytest.mark.parametrize(("until", "read"), [(1_770_000_000, True), (1_769_999_999, False)])
def test_read_presentation__key_replaced_since__counts_for_what_is_older(until: int, read: bool) -> None:
    delivery, signer, now = SealingKey.generate(), SigningKey.generate(), SigningKey.generate()
    keys = {"3": [now.jwk | {"until": None}, signer.jwk | {"until": until}]}
    script = """
    try { say((await p.readPresentation(given.text, given.keys)).issuer); } catch (e) { say(e.message); }
    """
    said = node(script, {"text": present(credential(delivery, signer)["jwt"], []), "keys": keys})
    assert said == ("3" if read else "key")


def test_present__chosen_claims_bound_in_the_browser__python_and_the_browser_read_it() -> None:
    """The holder's key is made by the browser; python issues to it, the browser chooses and binds, both read."""
    delivery, signer = SealingKey.generate(), SigningKey.generate()
    script = """
    const holder = await p.newHolderKey();
    const privateJwk = await crypto.subtle.exportKey("jwk", holder.pair.privateKey).catch(() => null);
    const shown = await p.bind(p.choose(given.text, ["number", "nothing"]), holder.pair, "bank", "n-1");
    say({ jwk: holder.jwk, privateJwk, shown });
    """
    credential_ = credential(delivery, signer)
    opened = open_credential(Credential(jwt=credential_["jwt"], sealed=credential_["sealed"]), CASE, delivery)
    made = node(script, {"text": present(credential_["jwt"], opened)})
    assert made["privateJwk"] is None
    shown = Presentation.parse(made["shown"])
    assert read_credential(shown.jwt, shown.disclosures, signer.jwk).claims == {"number": "2026-0001"}
    assert read_binding(shown, made["jwk"]).audience == "bank"

    bound = credential(delivery, signer, made["jwk"])
    script = """
    const said = [];
    for (const text of given.texts)
      said.push(await p.readPresentation(text, given.keys).then(({ binding }) => binding && binding.nonce, (e) => e.message));
    say(said);
    """
    holder = SigningKey.generate()
    own = credential(delivery, signer, {name: holder.jwk[name] for name in ("kty", "crv", "x", "y")})
    mine = bind(Presentation(jwt=own["jwt"], disclosures=()), holder, audience="bank", nonce="n-2")
    stolen = bind(Presentation(jwt=bound["jwt"], disclosures=()), holder, audience="bank", nonce="n-2")
    given = {"texts": [mine.text(), stolen.text(), f"{own['jwt']}~"]}
    said = node(script, given | {"keys": {"3": [signer.jwk | {"until": None}]}})
    assert said == ["n-2", "binding", None]


def test_delivery_key__made_in_the_browser__python_seals_to_it_and_nobody_reads_it_out() -> None:
    script = """
    const made = await s.newDeliveryKey();
    const jwk = await s.publicJwk(made);
    let extracted = true;
    try { await crypto.subtle.exportKey("jwk", made.privateKey); } catch { extracted = false; }
    say({ jwk, extracted });
    """

    said = node(script, None)

    assert said["extracted"] is False
    assert set(said["jwk"]) == {"kty", "crv", "x"}
    assert seal(said["jwk"], b"x", info=INFO, pad_to=16)
