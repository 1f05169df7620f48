"""Account: a person who can sign in at the identity seat.

A person is known by citizen number and name and shows a secret. Secrets are kept as scrypt records (RFC 7914). Wrong
secrets in a row lock the account for a while; an unknown number costs the same time and gets the same answer.

The development accounts of a devnet all have the passcode `DEVELOPMENT_PASSCODE`, which is public. A seat with the
profile `production` neither makes such accounts nor lets them sign in.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from dataclasses import dataclass, field
from typing import Any

from orchestrator.domain.errors import Invalid, Refused

DEVELOPMENT_PASSCODE = "lianban-123456"
"""The secret of every development account. Public: it protects nothing."""

MAX_FAILURES = 5
"""Wrong secrets in a row that lock an account."""

LOCK_SECONDS = 15 * 60

_COST, _BLOCK, _PARALLEL = 14, 8, 1
_SALT, _LENGTH = 16, 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A person who can sign in."""

    number: str
    """Citizen number (GB 11643)."""
    name: str
    """The name as public security records it."""
    development: bool = False
    """Made for a devnet, with the public passcode."""
    attributes: dict[str, Any] = field(default_factory=dict)
    """Behaviour of a test person, such as `{"face_check": "fails"}`. Empty for everybody else."""


def hash_secret(secret: str) -> str:
    """A scrypt record of `secret` with a salt of its own: `scrypt$cost$block$parallel$salt$hash`."""
    salt = os.urandom(_SALT)
    return _record(salt, _scrypt(secret, salt, _COST, _BLOCK, _PARALLEL))


def secret_matches(secret: str, record: str) -> bool:
    """Whether `secret` made `record`, in constant time. Raises ValueError for a record that is not one of ours."""
    kind, cost, block, parallel, salt, digest = record.split("$")
    if kind != "scrypt":
        raise ValueError("not a scrypt record")
    found = _scrypt(secret, base64.b64decode(salt), int(cost), int(block), int(parallel))
    return hmac.compare_digest(found, base64.b64decode(digest))


def wrong_secret() -> Invalid:
    """The one answer to an unknown number and to a wrong secret."""
    return Invalid(
        field="passcode",
        detail="公民身份号码或密码不正确",
        detail_en="The citizen number or the passcode is wrong",
        remedy=f"请核对后重试,连续 {MAX_FAILURES} 次错误将锁定账户 / Check both; {MAX_FAILURES} wrong tries lock it",
        code="wrong-secret",
    )


def locked() -> Refused:
    """The answer while an account is locked, whatever the secret."""
    minutes = LOCK_SECONDS // 60
    return Refused(
        f"连续输错密码,账户已锁定 {minutes} 分钟",
        code="account-locked",
        detail_en=f"Too many wrong passcodes: the account is locked for {minutes} minutes",
        remedy="请稍后再试或到窗口办理 / Try again later or go to a service window",
    )


def refuse_development(profile: str) -> None:
    """Raises Refused where development accounts have no place."""
    if profile == "production":
        raise Refused(
            "生产环境不得建立测试账户",
            code="development-account",
            detail_en="development accounts are refused in profile production",
            remedy="从真实身份源建立账户 / take the accounts from the real source of identities",
        )


def _scrypt(secret: str, salt: bytes, cost: int, block: int, parallel: int) -> bytes:
    return hashlib.scrypt(
        secret.encode(), salt=salt, n=1 << cost, r=block, p=parallel, dklen=_LENGTH, maxmem=256 * 1024 * 1024
    )


def _record(salt: bytes, digest: bytes) -> str:
    return "$".join(["scrypt", str(_COST), str(_BLOCK), str(_PARALLEL), _text(salt), _text(digest)])


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


NOBODY = _record(os.urandom(_SALT), os.urandom(_LENGTH))
"""A record that no secret is known to match: compared for unknown numbers, so that they take as long as known ones."""
