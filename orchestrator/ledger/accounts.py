"""Accounts of our own on the chain that are nobody's seat: the council's on a devnet, the poster's."""

from __future__ import annotations

import json
import os
from pathlib import Path

from eth_account import Account

from orchestrator.protocol.keyfolder import stored_account
from orchestrator.protocol.keyset import SigningAccount

_SCRYPT_ROUNDS = 2**13
"""scrypt's n, modest because the passphrase is 256 random bits, not a word."""


def chain_account(folder: Path, passphrase: str) -> SigningAccount:
    """The account whose key lies encrypted in `folder/chain.json` (Web3 Secret Storage); made there when there is none.

    Raises Invalid when the passphrase does not open it.
    """
    file = folder / "chain.json"
    if not file.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = SigningAccount.generate()
        content = json.dumps(Account.encrypt(made.secret, passphrase, "scrypt", _SCRYPT_ROUNDS))
        # Written whole before it gets its name; whoever loses a race for the name reads the winner's key.
        new = folder / f"chain.json.{os.getpid()}"
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            stream.write(content)
        try:
            os.link(new, file)
        except FileExistsError:
            pass
        finally:
            new.unlink()
    return stored_account(folder, passphrase)
