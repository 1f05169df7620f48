"""`lianban credential`: what a holder does with a credential: look at it, show some of it, print it. Nothing leaves the machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Final

import typer

from orchestrator.domain import suite
from orchestrator.domain.credential_type import HEADER
from orchestrator.domain.errors import Invalid, Refused
from orchestrator.protocol import sdjwt
from orchestrator.protocol.credential import Presentation
from orchestrator.protocol.jose import SigningKey, peek_jws
from orchestrator.protocol.keybinding import bind
from orchestrator.settings import load_settings
from orchestrator.verify.certificate import make_pdf
from orchestrator.verify.papers import read_paper
from orchestrator.verify.report import said
from orchestrator.verify.types import type_of

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    help="持证人:查看、出示、做成 PDF · a holder's: look, present, print",
)

HOLDER: Final = ("kty", "crv", "x", "y")
"""Members of the public key that an application names as `holder`."""

File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="证照文件(.sd-jwt 或其 PDF) · the credential")]
Out = Annotated[Path | None, typer.Option("--out", dir_okay=False, help="写到这里 · where to write it")]
TypeFile = Annotated[
    Path | None, typer.Option("--type", exists=True, dir_okay=False, help="证照类型说明 · its type metadata")
]


Passphrase = Annotated[
    str | None,
    typer.Option(hide_input=True, envvar="LIANBAN_HOLDER_PASSPHRASE", help="私钥口令 · the key's passphrase"),
]


@app.command()
def key(
    file: Annotated[Path, typer.Argument(dir_okay=False, help="写到这里 (PEM) · where to write it")],
    passphrase: Passphrase = None,
) -> None:
    """生成绑定证照的密钥,打印申请时填写的公钥 (`holder`) · makes a key to bind credentials to; prints the public one."""
    if file.exists():
        raise Invalid(field="FILE", detail="文件已存在", detail_en="the file is there already", code="exists")
    made = SigningKey.generate()
    words = passphrase or typer.prompt("口令 · passphrase", hide_input=True, confirmation_prompt=True)
    file.touch(mode=0o600)
    file.write_bytes(made.pem(words))
    typer.echo(json.dumps({name: made.jwk[name] for name in HOLDER}))


@app.command()
def show(file: File, type_: TypeFile = None) -> None:
    """证照所含各项及其名字,供出示时选择 · what is in it, and the names by which claims are chosen."""
    shown = _read(file)
    kind = type_of(shown, type_.read_bytes() if type_ else None)
    labels = kind.labels() if kind else dict(HEADER)
    for name, value in map(sdjwt.open_disclosure, shown.disclosures):
        zh, en = labels.get(name, ("", ""))
        typer.echo(f"{name:<22} {zh} {en}:{said(value)}")


@app.command()
def present(
    file: File,
    claim: Annotated[list[str] | None, typer.Option("--claim", help="出示这一项,可多次 · show this claim")] = None,
    key_file: Annotated[
        Path | None,
        typer.Option("--key", exists=True, dir_okay=False, help="证照所绑定的私钥 (PEM) · the key that it is bound to"),
    ] = None,
    audience: Annotated[str | None, typer.Option("--audience", help="出示给谁 · to whom")] = None,
    nonce: Annotated[str | None, typer.Option("--nonce", help="对方给的随机数 · the reader's nonce")] = None,
    passphrase: Passphrase = None,
    out: Out = None,
) -> None:
    """只出示所选各项;有密钥时证明出示人就是持证人 · shows the chosen claims only; with the key, proves to be the holder."""
    shown = _read(file).choose(claim or [])
    if key_file is not None:
        if not audience or not nonce:
            raise Invalid(
                field="--audience",
                detail="绑定密钥须写明出示给谁及其随机数",
                detail_en="a key binding names its reader and the reader's nonce",
                remedy="--audience NAME --nonce NONCE",
            )
        shown = bind(shown, _holder_key(shown, key_file, passphrase), audience=audience, nonce=nonce)
    if out is None:
        typer.echo(shown.text())
        return
    out.write_text(shown.text() + "\n", "ascii")
    typer.echo(f"✓ 出示 {len(shown.disclosures)} 项 · {len(shown.disclosures)} claims are shown  {out}")


@app.command()
def pdf(
    file: File,
    claim: Annotated[
        list[str] | None, typer.Option("--claim", help="只印这一项,可多次;默认全部 · default: all that is there")
    ] = None,
    portal: Annotated[
        str | None, typer.Option("--portal", help="二维码通向的门户 · the portal to which the QR code leads")
    ] = None,
    type_: TypeFile = None,
    out: Out = None,
) -> None:
    """做成带二维码的 PDF,证照本身附在其中 · a PDF with a QR code, which carries the credential itself."""
    shown = _read(file)
    if claim:
        shown = shown.choose(claim)
    target = out or file.with_suffix(".pdf")
    settings = load_settings()
    where = portal or (settings.portal_url() if settings.portal_origin or settings.portal_port else None)
    target.write_bytes(make_pdf(shown, type_of(shown, type_.read_bytes() if type_ else None), portal=where))
    typer.echo(f"✓ {target}")


def _read(file: Path) -> Presentation:
    paper = read_paper(file)
    if not isinstance(paper, Presentation):
        raise Invalid(field=file.name, detail="不是电子证照", detail_en="that is no credential", code="not-a-paper")
    return paper


def _holder_key(shown: Presentation, file: Path, passphrase: str | None) -> SigningKey:
    """The holder's key in a file. Raises Invalid when it does not open, Refused unless the credential is bound to it."""
    words = passphrase or typer.prompt("口令 · passphrase", hide_input=True)
    try:
        held = SigningKey.from_pem(file.read_bytes(), words)
    except (ValueError, Invalid):
        raise Invalid(
            field=file.name,
            detail="私钥打不开",
            detail_en="the key does not open with this passphrase",
            remedy=f"核对口令;须为 {suite.SIGNING_KEY} 私钥 / check the passphrase; it is a {suite.SIGNING_KEY} key",
            code="bad-key-file",
        ) from None
    jwk = (peek_jws(shown.jwt)[1].get("cnf") or {}).get("jwk")
    if jwk != {name: held.jwk[name] for name in HOLDER}:
        raise Refused(
            "证照没有绑定这把密钥",
            detail_en="the credential is not bound to this key",
            code="other-key",
            remedy="用申请时的那一把 / use the one of the application",
        )
    return held
