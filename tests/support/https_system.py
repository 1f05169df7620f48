"""A department's HTTP/JSON system for tests: a real HTTPS server with its own CA, token endpoint and, if told, client
certificates. What it was asked is kept, and what it answers can be changed under way.
"""

from __future__ import annotations

import base64
import ipaddress
import secrets
import ssl
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from orchestrator.devnet.ports import free_port

SECRET = "s3cret: with & and +"


def private_file(file: Path, text: str | bytes) -> None:
    """Writes a file that its owner alone may read."""
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    file.chmod(0o600)


class Authority:
    """A certificate authority of a test's own; its files lie in `folder`."""

    def __init__(self, folder: Path, name: str = "test-ca") -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = (
            _builder(self._name, self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self.certificate.public_bytes(Encoding.PEM))

    def issue(self, name: str, *, server: bool, passphrase: str = "") -> tuple[Path, Path]:
        """Certificate and key files for a server on this machine, or for a client."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        certificate = (
            _builder(subject, self._name, key.public_key())
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )
        protection = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
        files = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        private_file(files[0], certificate.public_bytes(Encoding.PEM))
        private_file(files[1], key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection))
        return files


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(hours=2))
    )


@dataclass(slots=True, kw_only=True)
class HttpsSystem:
    """What the server holds, answers and was asked."""

    url: str = ""
    tables: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    lasts: float = 3600
    """Seconds that a token is in force."""
    status: int = 0
    """Answered to everything instead of rows, when it is not 0."""
    pause: float = 0
    """Seconds before each answer."""
    asked: list[str] = field(default_factory=list)
    """`METHOD /path` of every request but those for tokens."""
    tokens: dict[str, float] = field(default_factory=dict)
    """Tokens given, and until when they are in force."""

    def app(self) -> FastAPI:
        """The server's application."""
        app = FastAPI()

        @app.post("/token")
        async def token(request: Request) -> Response:
            form = dict(pair.split("=", 1) for pair in (await request.body()).decode().split("&"))
            scheme, _, given = request.headers.get("authorization", "").partition(" ")
            if scheme == "Basic":
                name, _, secret = base64.b64decode(given).decode().partition(":")
                name, secret = unquote_plus(name), unquote_plus(secret)
            else:
                name, secret = unquote_plus(form.get("client_id", "")), unquote_plus(form.get("client_secret", ""))
            if (name, secret, form.get("grant_type")) != ("gateway", SECRET, "client_credentials"):
                return JSONResponse({"error": "invalid_client"}, 401)
            made = secrets.token_urlsafe(16)
            self.tokens[made] = time.monotonic() + self.lasts
            return JSONResponse({"access_token": made, "token_type": "Bearer", "expires_in": self.lasts})

        @app.api_route("/api/{table}/{rest:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
        async def rows(request: Request, table: str, rest: str) -> Response:
            self.asked.append(f"{request.method} {request.scope['raw_path'].decode()}")
            bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
            if self.tokens_needed and self.tokens.get(bearer, 0) < time.monotonic():
                return JSONResponse({"error": "invalid_token"}, 401)
            if self.pause:
                time.sleep(self.pause)
            if self.status:
                return JSONResponse({"error": "…"}, self.status, {"location": "/elsewhere"})
            held = self.tables[table]
            if rest == "search":
                body = await request.json()
                found = [row for row in held if row[body["by"]] in body["keys"]]
                return JSONResponse({"data": {"items": found, "total": len(found)}})
            found = [
                row for row in held if rest in (row.get("id"), row.get("aac001"), row.get("aac002"), row.get("uscc"))
            ]
            return JSONResponse(found[0]) if len(found) == 1 else JSONResponse({"error": "none"}, 404)

        return app

    tokens_needed: bool = True


@contextmanager
def https_system(folder: Path, *, client_ca: Path | None = None, **given: Any) -> Iterator[HttpsSystem]:
    """The system as a server on this machine; its CA's certificate is `folder/ca.pem`. With `client_ca` it lets nobody in
    without a certificate of that CA."""
    certificate, key = Authority(folder, "ca").issue("server", server=True)
    system = HttpsSystem(**given)
    port = free_port()
    system.url = f"https://127.0.0.1:{port}"
    config = uvicorn.Config(
        system.app(),
        host="127.0.0.1",
        port=port,
        log_config=None,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        ssl_ca_certs=str(client_ca) if client_ca else None,
        ssl_cert_reqs=ssl.CERT_REQUIRED if client_ca else ssl.CERT_NONE,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + 60
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.02)
        yield system
    finally:
        server.should_exit = True
        thread.join(timeout=20)
