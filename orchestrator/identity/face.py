"""Face check: comparing the person before the camera with the picture that public security holds.

`FaceCheck` is the interface; a real one calls the public security service. No picture is kept, here or in a mandate:
only what came out, when and by which method. A face check is never the only way: the notice names the others.

The development implementation compares nothing. It says so on the page and in the mandate (`method: "development"`),
and it cannot be made where the profile is `production`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from orchestrator.domain.errors import Invalid, Refused
from orchestrator.identity.accounts import Account
from orchestrator.protocol.mandate import DEVELOPMENT_METHOD

MAX_TRIES = 3
"""Tries in one authorisation; then the last result stands, or the person takes another way."""

FRESH_SECONDS = 600
"""How old a result may be when the mandate is signed."""

ALTERNATIVES = {
    "zh": "也可以不做人脸识别:到政务服务窗口、用电子社保卡或国家网络身份认证核验身份",
    "en": "You need no face check: a service window, the electronic social security card or the national network "
    "identity verify you as well",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceResult:
    """What came out of one check."""

    matches: bool
    """The face is that of the account's citizen number."""
    liveness: bool
    """A living person was before the camera."""
    assurance: str
    """`substantial` or `high`; `none` where nothing was compared."""

    @property
    def passed(self) -> bool:
        return self.matches and self.liveness


class FaceCheck(Protocol):
    """One way to compare faces. Raises Unavailable when the service behind it does not answer."""

    method: str
    """Named in the mandate."""
    label: dict[str, str]
    """What the page says about it, `zh` and `en`."""

    async def check(self, account: Account, nonce: str) -> FaceResult:
        """Checks the person now before the camera; `nonce` binds the result to one mandate."""


class DevelopmentFaceCheck:
    """Compares nothing: everybody passes, except test accounts that are to fail.

    The account attribute `face_check` may be `fails` (another face) or `liveness-fails` (a picture before the camera).
    """

    method = DEVELOPMENT_METHOD
    label = {  # noqa: RUF012  # a constant of the class
        "zh": "开发环境:本步骤不采集也不比对人脸,结果仅供测试",
        "en": "Development: no face is taken or compared here; the result is for tests only",
    }

    def __init__(self, profile: str) -> None:
        if profile == "production":
            raise Refused(
                "生产环境不得使用开发用人脸识别",
                code="development-face-check",
                detail_en="the development face check is refused in profile production",
                remedy="配置真实的人脸识别服务 / configure a real face check",
            )

    async def check(self, account: Account, nonce: str) -> FaceResult:
        behaviour: Any = account.attributes.get("face_check")
        return FaceResult(matches=behaviour != "fails", liveness=behaviour != "liveness-fails", assurance="none")


def face_check(name: str, profile: str) -> FaceCheck:
    """The face check of a setting. Raises Invalid for an unknown name, Refused for `development` in production."""
    if name != "development":
        raise Invalid(
            field="face_check",
            detail=f"未知的人脸识别方式 {name}",
            detail_en=f"unknown face check {name}",
            remedy="可用:development(仅开发环境)/ available: development (devnet only)",
        )
    return DevelopmentFaceCheck(profile)
