"""What a rotation does to the files of a key folder: new keys into `next/`, and once they are in force into their place.

A crash anywhere leaves every key where `protocol/keyfolder.py` finds it; doing it again goes on from there. A replaced sealing key
is kept in `past/`, because open cases are sealed to it; any other replaced key signs nothing that counts any more and is destroyed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from orchestrator.domain.errors import Invalid
from orchestrator.protocol.jose import SigningKey
from orchestrator.protocol.keyfolder import (
    KINDS,
    NEXT,
    PAST,
    Key,
    external,
    file_of,
    name_of,
    open_file,
    write_key,
)
from orchestrator.protocol.keyset import InForce, SigningAccount
from orchestrator.protocol.ports import SeatView
from orchestrator.protocol.sealing import SealingKey

_GONE: Final = ".gone-"
"""How the name of a file begins whose key is being destroyed."""


def next_key(folder: Path, passphrase: str, use: str, seat: SeatView, *, keystore: bool = False) -> Key:
    """The key that a rotation of `use` announces: one that `keys.yaml` lists and the seat never had, else with `keystore`, or where
    the key in force lies in the keystore, a new one in `next/`.

    Raises Invalid where the key in force is with an external signer and the file lists no new one.
    """
    had = _names_ever(seat, use)
    listed = list(external(folder, use))
    fresh = [key for key in listed if name_of(key) not in had]
    if fresh and not keystore:
        return fresh[0]
    if not keystore and any(name_of(key) == _name_in_force(seat, use) for key in listed):
        raise Invalid(
            field=f"keys.yaml.{use}",
            detail="现用密钥在外部签名器中,keys.yaml 未列出新密钥",
            detail_en="the key in force is with an external signer, and keys.yaml lists no new one",
            remedy="在签名器中生成新密钥,加到 keys.yaml 该用途之下;或加 --keystore / make a new key there and list it, or --keystore",
            code="no-next-key",
        )
    kinds: dict[str, Any] = {"chain": SigningAccount, "sealing": SealingKey}
    made = kinds.get(use, SigningKey).generate()
    (folder / NEXT).mkdir(mode=0o700, exist_ok=True)
    write_key(made, folder / NEXT / file_of(use, name_of(made)), passphrase)
    return made  # type: ignore[no-any-return]


def promote(folder: Path, passphrase: str, own: InForce) -> list[str]:
    """Puts the files of those keys that are in force into their place, and what they replace into `past/` or out of the world.

    Returns the uses whose key changed its place. Nobody may still need the replaced keys: processes follow the chain within a
    few seconds of the block.
    """
    moved = []
    for left in folder.rglob(f"{_GONE}*"):
        _erase(left)
    for use in KINDS:
        present, name = folder / file_of(use), _name_in_force(own, use)
        held = name_of(open_file(use, present, passphrase)) if present.exists() else None
        announced = folder / NEXT / file_of(use, name or "none")
        elsewhere = held is not None and any(name_of(key) == name for key in external(folder, use))
        if name is None or held == name or not (announced.exists() or elsewhere):
            continue
        if held is not None and use == "sealing":
            (folder / PAST).mkdir(mode=0o700, exist_ok=True)
            present.replace(folder / PAST / file_of(use, held))
        elif held is not None:
            destroy(present)
        if announced.exists():
            announced.replace(present)
        # What was made for announcements that never came into force can never come: their numbers are used.
        for left in (folder / NEXT).glob(file_of(use, "*")):
            destroy(left)
        moved.append(use)
    return moved


def destroy(file: Path) -> None:
    """Takes a key's file out of the ring, overwrites and removes it. Copies that a disk or a backup keeps are encrypted, like the
    file itself."""
    gone = file.with_name(_GONE + file.name)
    file.replace(gone)
    _erase(gone)


def _erase(file: Path) -> None:
    with file.open("r+b") as stream:
        stream.write(bytes(file.stat().st_size))
        stream.flush()
        os.fsync(stream.fileno())
    file.unlink()


def _name_in_force(own: InForce, use: str) -> str | None:
    if use == "chain":
        return own.signer
    return next((str(jwk["kid"]) for jwk in own.keyset.keys if jwk["use_for"] == use), None)


def _names_ever(seat: SeatView, use: str) -> set[str]:
    """Every key of a use that the seat has or had."""
    if use == "chain":
        return {seat.signer, *(past.signer for past in seat.past)}
    keysets = (seat.keyset, *(past.keyset for past in seat.past))
    return {str(jwk["kid"]) for keyset in keysets for jwk in keyset.keys if jwk["use_for"] == use}
