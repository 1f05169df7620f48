from __future__ import annotations

import pytest

from orchestrator.domain.errors import Refused
from orchestrator.identity.accounts import NOBODY, Account, hash_secret, refuse_development, secret_matches
from orchestrator.identity.face import DevelopmentFaceCheck, face_check

pytestmark = pytest.mark.anyio


def test_secret_matches__same_secret__true_and_nothing_else() -> None:
    record = hash_secret("密码-123456")

    assert secret_matches("密码-123456", record)
    assert not secret_matches("密码-123457", record)
    assert not secret_matches("", record)
    assert "123456" not in record


def test_hash_secret__twice__different_records() -> None:
    assert hash_secret("x") != hash_secret("x")


def test_secret_matches__unknown_account__never() -> None:
    assert not secret_matches("x", NOBODY)


def test_secret_matches__foreign_record__error() -> None:
    with pytest.raises(ValueError):
        secret_matches("x", NOBODY.replace("scrypt", "plain"))


def test_refuse_development__production__refused() -> None:
    refuse_development("devnet")
    with pytest.raises(Refused) as error:
        refuse_development("production")
    assert error.value.code == "development-account"


def test_development_face_check__production__does_not_start() -> None:
    with pytest.raises(Refused) as error:
        face_check("development", "production")
    assert error.value.code == "development-face-check"


@pytest.mark.parametrize(
    ("behaviour", "matches", "liveness"),
    [(None, True, True), ("fails", False, True), ("liveness-fails", True, False)],
)
async def test_development_face_check__account_attribute__decides(
    behaviour: str | None, matches: bool, liveness: bool
) -> None:
    account = Account(number="1", name="x", attributes={"face_check": behaviour} if behaviour else {})

    result = await DevelopmentFaceCheck("devnet").check(account, "nonce")

    assert (result.matches, result.liveness, result.assurance) == (matches, liveness, "none")
    assert result.passed == (matches and liveness)
