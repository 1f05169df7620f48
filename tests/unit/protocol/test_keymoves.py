"""What a rotation does to a key folder, also when it dies on the way: no key in force or still needed is ever missing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.errors import Invalid
from orchestrator.protocol import keymoves
from orchestrator.protocol.keyfolder import KINDS, load_seat_keys, name_of, save_seat_keys
from orchestrator.protocol.keymoves import next_key, promote
from orchestrator.protocol.keyset import SeatKeys, SigningAccount, generate_seat_keys
from orchestrator.protocol.ports import PastKeyset, SeatView
from orchestrator.protocol.sealing import seal, unseal
from tests.support.consortium import Consortium, make_consortium

WORD = "passphrase"


@pytest.fixture(scope="module")
def consortium() -> Consortium:
    return make_consortium()


@pytest.fixture
def folder(tmp_path: Path, keys: SeatKeys) -> Path:
    save_seat_keys(keys, tmp_path / "seat", WORD)
    return tmp_path / "seat"


@pytest.fixture
def keys() -> SeatKeys:
    return generate_seat_keys(identity=True)


@pytest.fixture
def seat(consortium: Consortium, keys: SeatKeys) -> SeatView:
    there = consortium.seat(consortium.binding.identity)
    keyset = replace(there.keyset, keys=tuple(keys.public_jwks()))
    return replace(there, keyset=keyset, signer=keys.chain.address, past=())


def rotated(seat: SeatView, kind: str, key: Any) -> SeatView:
    past = (*seat.past, PastKeyset(keyset=seat.keyset, until=1, signer=seat.signer))
    if kind == "chain":
        return replace(seat, signer=key.address, past=past)
    jwks = tuple({**key.jwk, "use_for": kind} if each["use_for"] == kind else each for each in seat.keyset.keys)
    return replace(seat, keyset=replace(seat.keyset, keys=jwks), past=past)


def in_force(folder: Path, seat: SeatView) -> dict[str, str]:
    held = load_seat_keys(folder, WORD)
    held.follow(seat)
    return {kind: name_of(getattr(held, kind)) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_follow__announced_key_comes_into_force__used_from_then_on_without_moving_a_file(
    kind: str, folder: Path, keys: SeatKeys, seat: SeatView
) -> None:
    running = load_seat_keys(folder, WORD)
    running.follow(seat)
    made = next_key(folder, WORD, kind, seat)
    running.follow(seat)
    assert name_of(getattr(running, kind)) == name_of(getattr(keys, kind))
    after = rotated(seat, kind, made)
    running.follow(after)
    assert name_of(getattr(running, kind)) == name_of(made)
    for other in set(KINDS) - {kind}:
        assert name_of(getattr(running, other)) == name_of(getattr(keys, other))
    running.follow(seat)  # a chain that was reorganised
    assert name_of(getattr(running, kind)) == name_of(getattr(keys, kind))


def test_follow__sealed_to_any_key_of_the_ring__opens(folder: Path, keys: SeatKeys, seat: SeatView) -> None:
    running = load_seat_keys(folder, WORD)
    made = next_key(folder, WORD, "sealing", seat)
    running.follow(seat)  # who sees the new block first seals to a key that is not in force here yet
    assert unseal(running.sealing, seal(made.jwk, b"x", info=b"i", pad_to=64), info=b"i") == b"x"  # type: ignore[union-attr]
    after = rotated(seat, "sealing", made)
    promote(folder, WORD, after)
    running.follow(after)
    for key in (made, keys.sealing):
        assert unseal(running.sealing, seal(key.jwk, b"x", info=b"i", pad_to=64), info=b"i") == b"x"  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", KINDS)
def test_promote__in_force__in_its_place_and_nothing_else_left(
    kind: str, folder: Path, keys: SeatKeys, seat: SeatView
) -> None:
    next_key(folder, WORD, kind, seat)  # announced and vetoed
    made = next_key(folder, WORD, kind, seat)
    assert promote(folder, WORD, seat) == []
    after = rotated(seat, kind, made)
    assert promote(folder, WORD, after) == [kind]
    assert promote(folder, WORD, after) == []
    assert in_force(folder, after)[kind] == name_of(made)
    assert list((folder / "next").iterdir()) == []
    old = name_of(getattr(keys, kind))
    assert [file.name for file in folder.glob("past/*")] == ([f"sealing-{old}.pem"] if kind == "sealing" else [])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", range(1, 8))
def test_promote__dies_anywhere__the_next_run_finishes_it(
    step: int, kind: str, folder: Path, keys: SeatKeys, seat: SeatView, monkeypatch: pytest.MonkeyPatch
) -> None:
    next_key(folder, WORD, kind, seat)
    made = next_key(folder, WORD, kind, seat)
    after, count = rotated(seat, kind, made), 0

    class Died(BaseException):
        pass

    def counted(original: Any) -> Any:
        def act(*args: Any, **options: Any) -> Any:
            nonlocal count
            count += 1
            if count == step:
                raise Died
            return original(*args, **options)

        return act

    with monkeypatch.context() as dying:
        dying.setattr(Path, "replace", counted(Path.replace))
        dying.setattr(Path, "unlink", counted(Path.unlink))
        dying.setattr(keymoves, "_erase", counted(keymoves._erase))
        try:
            promote(folder, WORD, after)
        except Died:
            pass
        else:
            assert count < step
    assert in_force(folder, after)[kind] == name_of(made), "in force all the time"
    promote(folder, WORD, after)
    assert in_force(folder, after)[kind] == name_of(made)
    assert not list(folder.rglob(".gone-*"))
    if kind == "sealing":
        held = load_seat_keys(folder, WORD, {"sealing"}).sealing
        assert keys.sealing.kid in {key.kid for key in (held, *held.past)}


def test_next_key__listed_key_that_the_seat_never_had__taken_and_then_a_new_one_must_be_listed(
    folder: Path, seat: SeatView
) -> None:
    address = SigningAccount.generate().address
    service = {"kind": "json-rpc", "url": "http://127.0.0.1:1", "address": address}
    (folder / "keys.yaml").write_text(json.dumps({"chain": service}))
    listed = next_key(folder, WORD, "chain", seat)
    assert name_of(listed) == address
    after = rotated(seat, "chain", listed)
    assert promote(folder, WORD, after) == ["chain"]
    assert not (folder / "chain.json").exists(), "the key that was replaced is gone"
    assert in_force(folder, after)["chain"] == address
    with pytest.raises(Invalid) as none:
        next_key(folder, WORD, "chain", after)
    assert none.value.code == "no-next-key"
    back = next_key(folder, WORD, "chain", after, keystore=True)
    assert promote(folder, WORD, rotated(after, "chain", back)) == ["chain"]
    assert (folder / "chain.json").exists()


def test_follow__folder_becomes_faulty__the_keys_before_stay(folder: Path, keys: SeatKeys, seat: SeatView) -> None:
    running = load_seat_keys(folder, WORD)
    running.follow(seat)
    (folder / "keys.yaml").write_text("evidence: {kind: none}")
    running.follow(seat)
    assert running.evidence.kid == keys.evidence.kid


def test_destroy__overwritten_before_it_is_removed(folder: Path, tmp_path: Path) -> None:
    file, other = folder / "evidence.pem", tmp_path / "link"
    other.hardlink_to(file)
    keymoves.destroy(file)
    assert not file.exists()
    assert set(other.read_bytes()) == {0}
