"""A real PKCS#11 module, SoftHSM, where this machine has one, with a token of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pkcs11
from pkcs11 import Attribute, KeyType, MechanismFlag

from orchestrator.domain import suite

PIN, OFFICER_PIN, TOKEN = "123456", "876543", "lianban"
X25519_PARAMETERS = bytes.fromhex("06032b656e")
HOW = (
    "no SoftHSM on this machine: apt-get install softhsm2; or without root apt-get download softhsm2 softhsm2-common libsofthsm2,"
    " dpkg -x each of them into one folder, and set LIANBAN_TEST_PKCS11 to the libsofthsm2.so in it"
)
_PLACES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
)


def find_module() -> Path | None:
    """SoftHSM's library: where `LIANBAN_TEST_PKCS11` says, or where Debian puts it."""
    named = os.environ.get("LIANBAN_TEST_PKCS11")
    return next((Path(place) for place in ([named] if named else _PLACES) if Path(place).is_file()), None)


class SoftHsm:
    """A fresh token in `folder`, set up by SoftHSM's own tool; keys are made in it by PKCS#11."""

    def __init__(self, module: Path, folder: Path) -> None:
        self.module = module
        (folder / "tokens").mkdir()
        self.config = folder / "softhsm2.conf"
        self.config.write_text(
            f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n"
        )
        os.environ["SOFTHSM2_CONF"] = str(self.config)  # the library reads it when it is first used in this process
        subprocess.run(
            [_tool(module), "--module", str(module), "--init-token", "--free", "--label", TOKEN, "--so-pin", OFFICER_PIN,
             "--pin", PIN],
            check=True, capture_output=True,
        )  # fmt: skip
        self._lib = pkcs11.lib(str(module))

    def make(self, label: str, kind: str) -> None:
        """A key pair for `signing`, `chain` or `sealing` that cannot be taken out."""
        parameters = {
            "signing": suite.SIGNING_PARAMETERS, "chain": suite.CHAIN_PARAMETERS, "sealing": X25519_PARAMETERS
        }[kind]  # fmt: skip
        sealing = kind == "sealing"
        with self._lib.get_token(token_label=TOKEN).open(rw=True, user_pin=PIN) as session:
            domain = session.create_domain_parameters(
                KeyType.EC_EDWARDS if sealing else KeyType.EC, {Attribute.EC_PARAMS: parameters}, local=True
            )
            uses = MechanismFlag.DERIVE if sealing else MechanismFlag.SIGN | MechanismFlag.VERIFY
            domain.generate_keypair(store=True, label=label, capabilities=uses)

    def describe(self, label: str) -> dict[str, str]:
        """The key as `keys.yaml` names it."""
        return {"kind": "pkcs11", "module": str(self.module), "token": TOKEN, "label": label, "pin_file": "hsm.pin"}


def _tool(module: Path) -> str:
    """SoftHSM's own tool: on the path, or in the folder tree that the library lies in."""
    return shutil.which("softhsm2-util") or str(module.parents[2] / "bin" / "softhsm2-util")
