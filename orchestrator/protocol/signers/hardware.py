"""Keys in a PKCS#11 module. The private half never leaves it: it signs hashes, or agrees on a secret with a public key.

The login is one for a token and process. A module that was gone (a restarted HSM, a pulled card) is logged in to again at the next
use.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import pkcs11
from pkcs11 import KDF, Attribute, KeyType, Mechanism, ObjectClass
from pkcs11.exceptions import PinIncorrect, PinLocked, PKCS11Error, UserAlreadyLoggedIn

from orchestrator.domain import suite
from orchestrator.domain.errors import Invalid
from orchestrator.protocol.holders import address_of
from orchestrator.protocol.signers.described import HardwareKey, read_secret, wrong
from orchestrator.protocol.signers.reaching import Reaching, SignerFailed

_Value = TypeVar("_Value")
_OCTETS: Final = 4
_UNCOMPRESSED: Final = 4


class _Token:
    """A token that this process is logged in to."""

    def __init__(self, described: HardwareKey, folder: Path) -> None:
        self._described = described
        self._folder = folder
        self._session: Any = None
        self._barred = False
        self._lock = threading.RLock()

    def use(self, action: Callable[[Any], _Value]) -> _Value:
        """What an action does with the session, with a fresh login when it fails in an old one. Raises SignerFailed."""
        with self._lock:
            old = self._session is not None
            try:
                return self._once(action)
            except SignerFailed:
                self._forget()
                if not old:
                    raise
            try:
                return self._once(action)
            except SignerFailed:
                self._forget()
                raise

    def _once(self, action: Callable[[Any], _Value]) -> _Value:
        if self._barred:
            raise self._wrong_pin()
        try:
            if self._session is None:
                pin = read_secret(self._folder, self._described.pin_file)
                token = pkcs11.lib(str(self._described.module)).get_token(token_label=self._described.token)
                try:
                    self._session = token.open(user_pin=pin)
                except UserAlreadyLoggedIn:  # a login is the process's, not a session's
                    self._session = token.open()
            return action(self._session)
        except (PinIncorrect, PinLocked):
            self._barred = True  # tokens lock themselves after a few wrong ones
            raise self._wrong_pin() from None
        except PKCS11Error as error:
            raise SignerFailed(type(error).__name__) from None

    def _wrong_pin(self) -> Invalid:
        return wrong(
            self._described.pin_file,
            f"不是令牌 {self._described.token} 的口令,或令牌已锁",
            f"is not the PIN of the token {self._described.token}, or the token is locked",
            "改正后重启本进程,以免令牌自锁 / correct it and start the process anew; it is not tried again",
        )

    def _forget(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            with contextlib.suppress(PKCS11Error):  # it is gone, which is why it is forgotten
                session.close()


_tokens: dict[tuple[Path, str], _Token] = {}


class _Pair:
    """A key pair in a module: the token and the label."""

    def __init__(self, use: str, described: HardwareKey, folder: Path) -> None:
        place = (described.module, described.token)
        self._token = _tokens.setdefault(place, _Token(described, folder))
        self._label = described.label
        self._use = use
        self._reaching = Reaching(
            f"{use} {described.token}/{described.label}",
            f"接通令牌 {described.token},核对 {described.pin_file} 与 label / connect the token {described.token}, check"
            f" {described.pin_file} and the label",
        )

    def _object(self, session: Any, kind: ObjectClass) -> Any:
        found = list(session.get_objects({Attribute.LABEL: self._label, Attribute.CLASS: kind}))
        if len(found) != 1:
            raise SignerFailed(f"{len(found)} keys have this label")
        return found[0]

    def _point(self, length: int, parameters: bytes | None) -> bytes:
        """The public point without what PKCS#11 puts around it. Raises Unavailable, and Invalid for a key of another kind."""

        def read(session: Any) -> tuple[bytes, bytes]:
            public = self._object(session, ObjectClass.PUBLIC_KEY)
            return bytes(public[Attribute.EC_POINT]), bytes(public[Attribute.EC_PARAMS])

        with self._reaching.attempt():
            point, found = self._token.use(read)
        if len(point) == length + 2 and point[0] == _OCTETS and point[1] == length:
            point = point[2:]
        if len(point) != length or parameters not in (None, found):
            raise wrong(f"keys.{self._use}", "不是所需类型的密钥", "is a key of another kind", f"label: {self._label}")
        return point

    def _signed(self, mechanism: str, digest: bytes) -> bytes:
        with self._reaching.attempt():
            return self._token.use(
                lambda session: bytes(
                    self._object(session, ObjectClass.PRIVATE_KEY).sign(digest, mechanism=Mechanism[mechanism])
                )
            )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._reaching.name})"


class HardwareSigning(_Pair):
    """A signing key in a module."""

    def __init__(self, use: str, described: HardwareKey, folder: Path) -> None:
        """Reads the public key. Raises Unavailable when the module cannot be reached, Invalid for a key of another kind."""
        super().__init__(use, described, folder)
        self.jwk = suite.signing_jwk(_affine(self._point(65, suite.SIGNING_PARAMETERS)))

    def sign(self, data: bytes) -> bytes:
        """64 bytes `r ‖ s`. Raises Unavailable."""
        return self._signed(suite.SIGNING_MECHANISM, suite.hash_of(data))


class HardwareChain(_Pair):
    """A chain key in a module."""

    def __init__(self, use: str, described: HardwareKey, folder: Path) -> None:
        """Reads the public key. Raises as `HardwareSigning`."""
        super().__init__(use, described, folder)
        self._public = _affine(self._point(65, suite.CHAIN_PARAMETERS))
        self.address: str = address_of(self._public)

    def sign_hash(self, digest: bytes) -> bytes:
        """65 bytes over 32. Raises Unavailable."""
        signature = self._signed(suite.CHAIN_MECHANISM, digest)
        try:
            return suite.chain_signature(self._public, digest, signature)
        except ValueError:
            raise wrong(
                "keys.chain", "签名与公钥不符", "signs by another key than its public one", self._label
            ) from None


class HardwareOpening(_Pair):
    """A sealing key in a module: it agrees on the secret of each blob, the rest is worked out here."""

    def __init__(self, use: str, described: HardwareKey, folder: Path) -> None:
        """Reads the public key. Raises as `HardwareSigning`."""
        super().__init__(use, described, folder)
        self._public = self._point(32, None)
        self.jwk = suite.sealing_jwk(self._public)

    def open(self, sealed: bytes, info: bytes) -> bytes:
        """The plaintext. Raises ValueError when it does not open, Unavailable."""
        return suite.unseal_by(self._agree, self._public, sealed, info)

    def _agree(self, point: bytes) -> bytes:
        def derive(session: Any) -> bytes:
            secret = self._object(session, ObjectClass.PRIVATE_KEY).derive_key(
                KeyType.GENERIC_SECRET,
                256,
                mechanism=Mechanism[suite.SEALING_MECHANISM],
                mechanism_param=(KDF.NULL, None, point),
                template={Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True, Attribute.TOKEN: False},
            )
            try:
                return bytes(secret[Attribute.VALUE])
            finally:
                secret.destroy()

        with self._reaching.attempt():
            return self._token.use(derive)


def _affine(point: bytes) -> bytes:
    """The 64 bytes `x ‖ y` of an uncompressed point."""
    if point[0] != _UNCOMPRESSED:
        raise Invalid(field="keys", detail="公钥格式不正确", detail_en="not an uncompressed point", code="bad-key")
    return point[1:]
