"""The PDF: what people read on it, that it looks the same anywhere, where its code leads, and the credential inside."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import segno
import typer
from pypdf import PdfReader, PdfWriter
from typer.testing import CliRunner

from orchestrator import cli_credential, cli_verify
from orchestrator.domain.credential_type import CredentialType
from orchestrator.domain.errors import Invalid, LianbanError, Refused
from orchestrator.protocol.credential import Presentation
from orchestrator.protocol.keybinding import bind, read_binding
from orchestrator.verify.certificate import attached, make_pdf
from orchestrator.verify.papers import read_paper
from tests.support.credentials import CASE, NOW, claims, gallery_type, issued, public

KIND = CredentialType(gallery_type())
PORTAL = "https://portal.example"


def text_of(pdf: bytes) -> str:
    """What is written on it."""
    return "".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages)


def test_pdf__whole_credential__every_claim_written_fonts_embedded_one_page() -> None:
    pdf = make_pdf(issued().whole, KIND, portal=PORTAL)
    text, said = text_of(pdf), claims()
    for name in ("licence_name", "licence_identifier", "issuer_name", "issue_date", "holder_name", "holder_code", "licence_number",
                 "valid_to", "legal_representative", "premises", "business_scope"):  # fmt: skip
        assert said[name] in text, name
    for words in ("持证主体", "法定代表人", "Legal representative", "Certificate of filing of an art business", CASE):
        assert words in text, words
    reader = PdfReader(io.BytesIO(pdf))
    assert len(reader.pages) == 1
    fonts = [font["/DescendantFonts"][0]["/FontDescriptor"] for font in reader.pages[0]["/Resources"]["/Font"].values()]
    assert len(fonts) == 2
    assert all("/FontFile3" in font for font in fonts)
    assert b"<pdfaid:part>3</pdfaid:part>" in reader.root_object["/Metadata"].get_data()


def test_pdf__some_claims__the_others_nowhere_in_it() -> None:
    made = issued()
    shown = bind(made.whole.choose(["holder_name", "licence_name"]), made.holder, audience="bank", nonce="n-1", now=NOW)
    pdf = make_pdf(shown, KIND, portal=None)
    assert "陈画" not in text_of(pdf)
    assert "另有 15 项" in text_of(pdf)
    carried = Presentation.parse(attached(pdf).decode())
    assert (carried.binding, carried.disclosures) == (None, shown.disclosures)


def test_pdf__made_twice__the_same_bytes() -> None:
    made = issued()
    assert make_pdf(made.whole, KIND, portal=PORTAL) == make_pdf(made.whole, KIND, portal=PORTAL)


def test_pdf__code__leads_to_the_case_at_the_portal(monkeypatch: pytest.MonkeyPatch) -> None:
    targets: list[str] = []
    make = segno.make
    monkeypatch.setattr(segno, "make", lambda target, **how: targets.append(target) or make(target, **how))
    make_pdf(issued().whole, KIND, portal=f"{PORTAL}/")
    make_pdf(issued().whole, None, portal=None)
    assert targets == [f"{PORTAL}/verify?case={CASE}", f"lianban:{CASE}?ledger=0x{'1a' * 20}&chain=31337"]


@pytest.mark.parametrize("name", ["王𠮷", "王😀", "김민수"])
def test_pdf__a_sign_that_no_font_has__refused_rather_than_an_empty_box(name: str) -> None:
    rare = issued(more={"holder_name": name})
    with pytest.raises(Invalid, match="sign"):
        make_pdf(rare.whole, KIND, portal=None)


@pytest.mark.parametrize("name", ["王䶮", "李㛃", "買買提·吐爾遜", "北京<#sys>公司*_[x]_*$1$ @a //b"])
def test_pdf__rare_signs_and_markup_in_a_name__written_as_they_are(name: str) -> None:
    assert name in text_of(make_pdf(issued(more={"holder_name": name}).whole, KIND, portal=None))


@pytest.mark.parametrize("count", [0, 2])
def test_attached__none_or_two__refused(count: int) -> None:
    writer = PdfWriter()
    writer.add_blank_page(100, 100)
    for number in range(count):
        writer.add_attachment("credential.sd-jwt", f"a.b.c~{number}~".encode())
    out = io.BytesIO()
    writer.write(out)
    with pytest.raises(ValueError):
        attached(out.getvalue())


def test_commands__key_present_pdf_verify__as_a_holder_and_a_reader_use_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIANBAN_DATA_DIR", str(tmp_path))

    def said(command: typer.Typer, *arguments: object, passphrase: str = "pass") -> str:
        environment = {"LIANBAN_HOLDER_PASSPHRASE": passphrase}
        done = CliRunner().invoke(command, list(map(str, arguments)), env=environment, catch_exceptions=True)
        if isinstance(done.exception, LianbanError):
            return f"{type(done.exception).__name__}: {done.exception}"
        return f"{done.exit_code} {done.stdout}"

    def holder(*arguments: object, **more: str) -> str:
        return said(cli_credential.app, *arguments, **more)

    key = tmp_path / "holder.pem"
    jwk = json.loads(holder("key", key).removeprefix("0 "))
    assert tuple(jwk) == cli_credential.HOLDER
    assert holder("key", key).startswith("Invalid")  # never written over
    made = issued(holder=jwk)
    file, part, pdf = tmp_path / "whole.sd-jwt", tmp_path / "part.sd-jwt", tmp_path / "whole.pdf"
    file.write_text(made.whole.text() + "\n")
    assert "holder_name" in holder("show", file)
    assert holder("pdf", file, "--portal", PORTAL).startswith("0 ")
    choice = ("--claim", "holder_name", "--claim", "valid_to", "--key", key, "--out", part)
    reader = ("--audience", "bank", "--nonce", "n-1")
    assert holder("present", pdf, *choice, *reader).startswith("0 ")
    shown = read_paper(part)
    assert isinstance(shown, Presentation)
    assert read_binding(shown, jwk).audience == "bank"
    assert len(shown.disclosures) == 2
    assert holder("present", pdf, *choice).startswith("Invalid")  # a key binding is for somebody
    assert "does not open" in holder("present", pdf, *choice, *reader, passphrase="other")
    assert "no claim passport" in holder("present", pdf, "--claim", "passport")
    other = tmp_path / "other.sd-jwt"
    other.write_text(issued(holder=public(made.holder)).whole.text())
    assert "not bound to this key" in holder("present", other, *choice, *reader)

    report = said(cli_verify.app, pdf, "--offline", "--json")
    assert (report[:2], json.loads(report[2:])["conclusion"]) == ("3 ", "unchecked")
    assert said(cli_verify.app).startswith("Invalid")
    assert said(cli_verify.app, key).startswith("Invalid")


@pytest.mark.parametrize("name", ["gallery", "other"])
def test_commands__type_metadata__the_one_that_the_credential_hashes_or_none(tmp_path: Path, name: str) -> None:
    kind, file = tmp_path / "type.json", tmp_path / "whole.sd-jwt"
    kind.write_bytes(gallery_type() if name == "gallery" else gallery_type() + b" ")
    file.write_text(issued().whole.text())
    done = CliRunner().invoke(cli_credential.app, ["show", str(file), "--type", str(kind)])
    assert ("法定代表人" in done.stdout, isinstance(done.exception, Refused)) == (name == "gallery", name == "other")
