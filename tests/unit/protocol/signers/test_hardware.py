"""Keys in a real PKCS#11 module: what they sign and open, and what is said when it is not there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog.testing
import yaml

from orchestrator.domain.canonical import keccak
from orchestrator.domain.errors import Invalid, Refused, Unavailable
from orchestrator.protocol.jose import sign_jws, verify_jws
from orchestrator.protocol.keyfolder import FolderKeys, load_seat_keys
from orchestrator.protocol.sealing import SealingKey, seal, unseal
from orchestrator.protocol.sheet import Domain, head_digest, recover
from orchestrator.protocol.signers import hardware, reaching
from tests.support.softhsm import PIN, SoftHsm

USES = {"chain": "chain", "evidence": "evidence", "request": "evidence", "sealing": "sealing"}
DOMAIN = Domain(chain_id=7, contract="0x" + "11" * 20)


def keys(hsm: SoftHsm, folder: Path, **changes: str) -> FolderKeys:
    described = {use: hsm.describe(label) | changes for use, label in USES.items()}
    (folder / "keys.yaml").write_text(yaml.safe_dump(described))
    return load_seat_keys(folder, "", set(described))


@pytest.fixture(autouse=True)
def fresh_logins(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    logins: dict[object, hardware._Token] = {}
    monkeypatch.setattr(hardware, "_tokens", logins)
    yield
    for token in logins.values():
        token._forget()


def test_keys__all_in_a_module__sign_and_open_and_nothing_lies_in_the_folder(hsm: SoftHsm, folder: Path) -> None:
    held = keys(hsm, folder)
    for key in (held.evidence, held.request):
        token = sign_jws({"iat": 1}, typ="test", key=key)
        assert verify_jws(token, typ="test", jwk=key.jwk) == {"iat": 1}
    for size in range(8):
        digest = head_digest(DOMAIN, 3, size, keccak(b"root"))
        assert recover(digest, held.chain.sign_hash(digest)) == held.chain.address
    for length in (0, 1, 600):
        blob = seal(held.sealing.jwk, b"x" * length, info=b"i", pad_to=512)
        assert unseal(held.sealing, blob, info=b"i") == b"x" * length
    assert {file.name for file in folder.iterdir()} == {"keys.yaml", "hsm.pin"}
    with pytest.raises(Invalid) as exported:
        held.evidence.pem("word")
    assert exported.value.code == "key-elsewhere"


@pytest.mark.parametrize("point", [bytes(32), b"\1" + bytes(31)])
def test_open__sealed_to_another_or_point_of_small_order__cannot_open_and_module_stays_in_use(
    hsm: SoftHsm, folder: Path, point: bytes
) -> None:
    held = keys(hsm, folder).sealing
    other = seal(SealingKey.generate().jwk, b"x", info=b"i", pad_to=512)
    with pytest.raises(Refused) as refused:
        unseal(held, other, info=b"i")
    assert refused.value.code == "cannot-open"
    with pytest.raises(ValueError, match="shared key"):
        held.holder.open(point + bytes(32), b"i")
    assert unseal(held, seal(held.jwk, b"y", info=b"i", pad_to=512), info=b"i") == b"y"


def test_keys__pin_wrong__told_once_and_not_tried_again(hsm: SoftHsm, folder: Path) -> None:
    (folder / "hsm.pin").write_text("000000")
    with structlog.testing.capture_logs() as logged:
        for pin in ("000000", PIN):  # the right one is not tried either: a token locks itself after a few wrong ones
            (folder / "hsm.pin").write_text(pin)
            with pytest.raises(Invalid) as wrong:
                keys(hsm, folder)
            assert (wrong.value.field, wrong.value.code) == ("hsm.pin", "bad-key-description")
    assert "000000" not in f"{wrong.value} {wrong.value.detail_en} {logged}"


@pytest.mark.parametrize(
    "changes", [{"module": "/nowhere/lib.so"}, {"token": "other"}, {"label": "other"}], ids=["module", "token", "label"]
)
def test_keys__module_token_or_label_missing__unavailable_with_remedy(
    hsm: SoftHsm, folder: Path, changes: dict[str, str]
) -> None:
    with pytest.raises(Unavailable) as gone:
        keys(hsm, folder, **changes)
    assert gone.value.code == "signer-down"
    assert "hsm.pin" in gone.value.remedy


def test_keys__of_another_kind__refused(hsm: SoftHsm, folder: Path) -> None:
    for use, label in (("evidence", "chain"), ("chain", "evidence"), ("sealing", "evidence"), ("evidence", "sealing")):
        (folder / "keys.yaml").write_text(yaml.safe_dump({use: hsm.describe(label)}))
        with pytest.raises(Invalid) as other:
            load_seat_keys(folder, "", {use})
        assert other.value.field == f"keys.{use}"


def test_sign__session_was_lost__logged_in_again(hsm: SoftHsm, folder: Path) -> None:
    held = keys(hsm, folder)
    for token in hardware._tokens.values():
        token._session.close()
    assert verify_jws(sign_jws({}, typ="t", key=held.evidence), typ="t", jwk=held.evidence.jwk) == {}


def test_sign__module_fails__left_alone_for_a_while(
    hsm: SoftHsm, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, tried, clock = keys(hsm, folder), [], [100.0]
    monkeypatch.setattr(reaching.time, "monotonic", lambda: clock[0])

    def fail(*_: object) -> bytes:
        tried.append(clock[0])
        raise reaching.SignerFailed("gone")

    with monkeypatch.context() as broken:
        broken.setattr(hardware._Token, "use", fail)
        for _ in range(3):
            with pytest.raises(Unavailable):
                held.evidence.sign(b"x")
        assert len(tried) == 1
    clock[0] += reaching.PAUSE
    assert held.evidence.sign(b"x")
