"""Key folders: where a department's private keys lie, and which of them counts.

`chain.json` (Web3 Secret Storage) and one PKCS#8 PEM for each other use are the keys in force, encrypted. `next/` holds keys that
a rotation has announced or is about to, `past/` sealing keys that were replaced, since open cases are sealed to them. `keys.yaml`
names keys that are with external signers. All of them together are the ring; which one of a use counts, the chain says, so that
a rotation comes into force in every process at its block and no file has to move at that moment.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
import structlog
from eth_account import Account

from orchestrator.domain.errors import Invalid, LianbanError
from orchestrator.protocol.holders import ChainHolder
from orchestrator.protocol.jose import SigningKey
from orchestrator.protocol.keyset import USES, InForce, SeatKeys, SigningAccount
from orchestrator.protocol.sealing import SealingKey
from orchestrator.protocol.signers.described import KEYS_FILE, HardwareKey, read_described
from orchestrator.protocol.signers.hardware import HardwareChain, HardwareOpening, HardwareSigning
from orchestrator.protocol.signers.service import ServiceKey

KINDS: Final = ("chain", *USES)
"""Every use of a seat's keys."""

NEXT: Final = "next"
PAST: Final = "past"
_SCRYPT_ROUNDS: Final = 2**13
"""scrypt's n: about 15 ms and 8 MiB a key, since all seats of a demo start at once. The passphrase is a random file."""

_log = structlog.get_logger(__name__)

Key = ChainHolder | SigningKey | SealingKey
"""A private key of some use, wherever it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRing:
    """All keys of a folder by use. The first of each counts while no chain is asked."""

    keys: dict[str, tuple[Any, ...]]

    def first(self) -> SeatKeys:
        """The keys that count while no chain is asked."""
        return self._of({use: keys[0] for use, keys in self.keys.items() if keys})

    def in_force(self, own: InForce) -> SeatKeys:
        """The keys that the chain has for the seat; one that is not here is not held."""
        kids = {str(jwk["use_for"]): str(jwk["kid"]) for jwk in own.keyset.keys} | {"chain": own.signer}
        return self._of({use: key for use, keys in self.keys.items() for key in keys if name_of(key) == kids.get(use)})

    def _of(self, chosen: dict[str, Any]) -> SeatKeys:
        """With every sealing key that is here: what was sealed to one, or is sealed to one that comes into force now, opens."""
        sealing = self.keys.get("sealing", ())
        if sealing:
            main = chosen.get("sealing", sealing[0])
            others = tuple(key for key in sealing if key.kid != main.kid)
            chosen = chosen | {"sealing": SealingKey(main.holder, others)}
        return SeatKeys(**chosen)


class FolderKeys(SeatKeys):
    """The keys of a folder, as many as a process was given leave to use; `follow` takes those that the chain has in force."""

    __slots__ = ("_folder", "_only", "_own", "_passphrase", "_ring", "_state")

    def __init__(self, folder: Path, passphrase: str, only: Collection[str] | None) -> None:
        """Raises Invalid when a key is missing or does not open, Unavailable when an external signer cannot be reached."""
        self._folder, self._passphrase, self._only = folder, passphrase, only
        self._own: tuple[object, str] | None = None
        self._state = self._look()
        self._ring = _read(folder, passphrase, only)
        self._use(self._ring.first())

    def follow(self, own: InForce) -> None:
        """Takes the keys in force into use. A folder that has become faulty is logged, and the keys before it stay."""
        state = self._look()
        if self._own is not None and self._own[0] is own.keyset and self._own[1] == own.signer and state == self._state:
            return
        if state != self._state:
            try:
                self._ring = _read(self._folder, self._passphrase, self._only)
            except LianbanError as error:
                _log.error("key-folder-faulty", folder=self._folder.name, code=error.code, detail=error.detail_en)
            self._state = state
        self._own = (own.keyset, own.signer)
        self._use(self._ring.in_force(own))

    def chain_of(self, address: str) -> ChainHolder | None:
        """The chain key of an address (EIP-55), when it is here."""
        return next((key for key in self._ring.keys.get("chain", ()) if key.address == address), None)

    def _use(self, keys: SeatKeys) -> None:
        for name in SeatKeys.__slots__:
            setattr(self, name, getattr(keys, name))

    def _look(self) -> tuple[int | None, ...]:
        places = (self._folder, self._folder / NEXT, self._folder / PAST, self._folder / KEYS_FILE)
        return tuple(_changed_at(place) for place in places)


def load_seat_keys(folder: Path, passphrase: str, only: Collection[str] | None = None) -> FolderKeys:
    """The keys of `folder`, or of them those named in `only` (`chain`, `evidence`, `request`, `sealing`, `identity`).

    Without `only`, `identity` may be missing. Raises Invalid when a key is missing or does not open, Unavailable when an external
    signer cannot be reached.
    """
    return FolderKeys(folder, passphrase, only)


def stored_account(folder: Path, passphrase: str) -> SigningAccount:
    """The chain key that lies in a folder's `chain.json`: a council member's, or an account that pays. Raises Invalid when it is
    missing or does not open."""
    key = open_file("chain", folder / file_of("chain"), passphrase)
    assert isinstance(key, SigningAccount)
    return key


def save_seat_keys(keys: SeatKeys, folder: Path, passphrase: str) -> None:
    """Writes the keys encrypted, readable by their owner alone. Raises Invalid rather than overwrite a key."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    uses = [use for use in KINDS if use != "identity" or keys.has_identity]
    for use in uses:
        if (folder / file_of(use)).exists():
            raise Invalid(
                field="folder",
                detail=f"密钥文件 {file_of(use)} 已存在,不会覆盖",
                detail_en=f"key file {file_of(use)} exists and is not overwritten",
                remedy="换一个目录,或先备份并移走原密钥",
                code="key-exists",
            )
    for use in uses:
        write_key(getattr(keys, use), folder / file_of(use), passphrase)


def write_key(key: Key, file: Path, passphrase: str) -> None:
    """Writes one key encrypted, whole or not at all. Raises Invalid when the key is with an external signer."""
    if isinstance(key, SigningAccount):
        content = json.dumps(Account.encrypt(key.secret, passphrase, "scrypt", _SCRYPT_ROUNDS)).encode()
    elif isinstance(key, SigningKey | SealingKey):
        content = key.pem(passphrase)
    else:
        raise _bad_key_file(file.name, "不在本地", "is with an external signer")
    new = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        os.fsync(stream.fileno())
    new.replace(file)


def keep_past_sealing(replaced: SealingKey, folder: Path, passphrase: str) -> int:
    """Keeps a replaced sealing key, with those that it had replaced itself, in the key folder of the seat's present keys;
    how many there are now. Doing it again changes nothing. Raises Invalid for the present key itself."""
    present = load_seat_keys(folder, passphrase, {"sealing"}).sealing
    (folder / PAST).mkdir(mode=0o700, exist_ok=True)
    known = {key.kid for key in present.past}
    for key in (replaced, *replaced.past):
        if key.kid == present.kid:
            raise Invalid(
                field="keys",
                detail="这就是现用的解封密钥",
                detail_en="that is the sealing key in force",
                remedy="给出被替换的密钥目录 / name the folder of the replaced keys",
                code="present-key",
            )
        if key.kid not in known:
            write_key(key, folder / PAST / file_of("sealing", key.kid), passphrase)
            known.add(key.kid)
    return len(known)


def file_of(use: str, name: str | None = None) -> str:
    """How the file of a key is called: in `next` and `past` with the key's own name."""
    return f"{use}{f'-{name}' if name else ''}.{'json' if use == 'chain' else 'pem'}"


def name_of(key: Key) -> str:
    """What tells keys of one use apart: a chain key's address, any other's `kid`."""
    return key.kid if isinstance(key, SigningKey | SealingKey) else key.address


def files_of(folder: Path, use: str) -> list[Path]:
    """The files that hold a folder's keys of a use: the one in force first, then those announced, then past ones."""
    places = [folder / file_of(use), *sorted((folder / NEXT).glob(file_of(use, "*")))]
    if use == "sealing":
        places += sorted((folder / PAST).glob(file_of(use, "*")))
    return [place for place in places if place.exists()]


def open_file(use: str, file: Path, passphrase: str) -> Key:
    """The key in a file. Raises Invalid when it does not open, or is of another kind."""
    name = f"{file.parent.name}/{file.name}" if file.parent.name in (NEXT, PAST) else file.name
    try:
        content = file.read_bytes()
        if use == "chain":
            return SigningAccount(bytes(Account.decrypt(orjson.loads(content), passphrase)))
        return (SealingKey if use == "sealing" else SigningKey).from_pem(content, passphrase)
    except FileNotFoundError:
        raise _bad_key_file(name, "不存在", "is missing") from None
    except (ValueError, TypeError, KeyError, NotImplementedError):
        raise _bad_key_file(name, "无法用所给口令打开", "does not open with the passphrase given") from None
    except Invalid:
        raise _bad_key_file(name, "不是所需类型的密钥", "holds a key of another type") from None


def external(folder: Path, use: str) -> Iterator[Key]:
    """The keys of a use that `keys.yaml` names, opened. Raises Invalid for a faulty file, Unavailable for a signer out of reach."""
    for described in getattr(read_described(folder), use):
        if not isinstance(described, HardwareKey):
            yield ServiceKey(described, folder)
        elif use == "chain":
            yield HardwareChain(use, described, folder)
        elif use == "sealing":
            yield SealingKey(HardwareOpening(use, described, folder))
        else:
            yield SigningKey(HardwareSigning(use, described, folder))


def _read(folder: Path, passphrase: str, only: Collection[str] | None) -> KeyRing:
    wanted = set(KINDS) if only is None else set(only)
    if not wanted <= set(KINDS):
        raise ValueError(f"no such key: {sorted(wanted - set(KINDS))}")
    keys: dict[str, tuple[Key, ...]] = {}
    for use in sorted(wanted):
        held = [*external(folder, use), *(open_file(use, file, passphrase) for file in files_of(folder, use))]
        if not held and not (use == "identity" and only is None):
            raise _bad_key_file(file_of(use), "不存在", "is missing")
        keys[use] = tuple({name_of(key): key for key in reversed(held)}.values())[::-1]
    return KeyRing(keys=keys)


def _changed_at(place: Path) -> int | None:
    try:
        return place.stat().st_mtime_ns
    except FileNotFoundError:
        return None


def _bad_key_file(name: str, problem: str, problem_en: str) -> Invalid:
    return Invalid(
        field=name,
        detail=f"密钥文件 {name} {problem}",
        detail_en=f"key file {name} {problem_en}",
        remedy="核对密钥目录与口令文件",
        code="bad-key-file",
    )
