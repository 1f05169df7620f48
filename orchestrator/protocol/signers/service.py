"""Chain keys with a signing service over HTTP: a JSON-RPC account that signs typed data, or a Web3Signer.

Both are given the statement itself and hash it on their own. What comes back must recover to the key's address: a service that
signed something else, or with another key, is caught here and not by the chain.
"""

from __future__ import annotations

import json
import ssl
from pathlib import Path
from typing import Any

import httpx
from eth_utils.address import to_checksum_address

from orchestrator.domain import suite
from orchestrator.domain.canonical import to_hex
from orchestrator.domain.errors import Invalid, LianbanError
from orchestrator.protocol.holders import address_of
from orchestrator.protocol.sheet import Statement, recover
from orchestrator.protocol.signers.described import NodeKey, Web3signerKey, wrong
from orchestrator.protocol.signers.reaching import Reaching, SignerFailed


class ServiceKey:
    """A chain key that a service holds; `address` is EIP-55."""

    def __init__(self, described: NodeKey | Web3signerKey, folder: Path) -> None:
        """`folder` is where the certificates lie. Raises Invalid when they cannot be read. Nothing is asked of the service yet."""
        self._described = described
        if isinstance(described, NodeKey):
            self.address: str = to_checksum_address(described.address)
        else:
            self.address = address_of(bytes.fromhex(described.public_key[2:]))
        self._reaching = Reaching(
            f"chain {self.address}",
            f"启动或解锁 {described.url} 的签名服务 / start or unlock the signing service at {described.url}",
        )
        self._http = httpx.Client(
            timeout=described.timeout, trust_env=False, verify=_trust(described, folder), follow_redirects=False
        )

    def sign_hash(self, digest: bytes) -> bytes:
        """65 bytes over a `Statement`. Raises Invalid for bare bytes, Unavailable (code `signer-down`)."""
        if not isinstance(digest, Statement):
            raise Invalid(
                field="keys.chain",
                detail="外部签名器只签署本系统的结构化声明",
                detail_en="an external signer signs the statements of a seat, not bare bytes",
                remedy="此用途请用本地密钥 / use a key of the keystore for this",
                code="not-a-statement",
            )
        with self._reaching.attempt():
            try:
                signature = self._asked(digest)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise SignerFailed(f"{type(error).__name__}") from None
            except (ValueError, TypeError, AttributeError):
                raise SignerFailed("its answer is not as specified") from None
            return self._checked(digest, signature)

    def _asked(self, statement: Statement) -> bytes:
        described = self._described
        if isinstance(described, NodeKey):
            typed = json.dumps(statement.typed_data())
            body = {"jsonrpc": "2.0", "id": 1, "method": described.method, "params": [self.address, typed]}
            answer = self._http.post(described.url, json=body)
            found: Any = answer.json()
            if "error" in found:
                # The service's own words could hold what it was asked: its code says enough.
                raise SignerFailed(f"it refused with {found['error'].get('code')}")
            text = found["result"]
        else:
            url = f"{described.url}/api/v1/eth1/sign/{described.public_key}"
            answer = self._http.post(url, json={"data": to_hex(statement.preimage)})
            if answer.status_code != 200:
                raise SignerFailed(f"it answered {answer.status_code}")
            text = answer.text.strip().strip('"')
        return bytes.fromhex(str(text).removeprefix("0x"))

    def _checked(self, digest: bytes, signature: bytes) -> bytes:
        """The signature as the contracts take it. Raises SignerFailed unless it is this key's over the digest."""
        s = int.from_bytes(signature[32:64], "big")
        if len(signature) == 65 and 0 < s < suite.CHAIN_ORDER:
            low = signature[:32] + min(s, suite.CHAIN_ORDER - s).to_bytes(32, "big")
            for v in (27, 28):
                try:
                    if recover(digest, low + bytes((v,))) == self.address:
                        return low + bytes((v,))
                except LianbanError:
                    continue
        raise SignerFailed("what it signed is not the statement, or not by this key")

    def __repr__(self) -> str:
        return f"ServiceKey({self.address})"


def _trust(described: NodeKey | Web3signerKey, folder: Path) -> ssl.SSLContext | bool:
    if described.ca_file is None and described.certificate_file is None and described.url.startswith("http://"):
        return False  # a service on this machine: nothing to trust
    try:
        ca = None if described.ca_file is None else str(folder / described.ca_file)
        context = ssl.create_default_context(cafile=ca)
        if described.certificate_file is not None and described.key_file is not None:
            context.load_cert_chain(folder / described.certificate_file, folder / described.key_file)
    except (OSError, ssl.SSLError):
        raise wrong(
            "keys.chain",
            "的证书无法读取",
            "has a certificate that cannot be read",
            "核对 ca_file、certificate_file、key_file",
        ) from None
    return context
