from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from orchestrator.cli_scenario import app
from orchestrator.scenarios import FOLDER

GALLERY = FOLDER / "open-gallery.yaml"
ANSWERS = "decoration_area_m2=300.00,handler_household=beijing,handled_by=self,premises_tenure=owned"
BOOKSHOP = Path(__file__).parents[1] / "vectors" / "scenarios" / "bookshop"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_check__good_file__version_and_exit_code_zero() -> None:
    result = run("check", GALLERY)
    assert result.exit_code == 0
    assert "我要开画廊" in result.output
    assert "0x" in result.output


def test_check__faults__line_field_and_both_languages(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    text = GALLERY.read_text("utf-8").replace("handled_by: agent}", "handled_bi: agent}", 1)
    file.write_text(text, "utf-8")
    result = run("check", file)
    line = text[: text.index("handled_bi")].count("\n") + 1
    assert result.exit_code == 2
    assert f"{line}:" in result.output
    assert "没有这样的问题" in result.output
    assert "no question handled_bi" in result.output


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b""])
def test_check__not_a_scenario__exit_code_two(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.yaml"
    file.write_bytes(content)
    assert run("check", file).exit_code == 2


def test_plan__gallery__figures_shown() -> None:
    result = run("plan", GALLERY, "--answers", ANSWERS, "--day", "2026-02-13")
    assert result.exit_code == 0
    for part in ("4 → 2", "6 个工作日", "2 个工作日", "2026-02-24", "2–3 → 0", "E05.company", "culture-tourism"):
        assert part in result.output, part


def test_plan__answers_from_a_json_file__same_plan(tmp_path: Path) -> None:
    file = tmp_path / "answers.json"
    file.write_text(json.dumps({"holds_national_certificate": True, "accounting_year": 2025, "handled_by": "self"}))
    result = run("plan", FOLDER / "zgc-high-tech-certification.yaml", "--answers", file)
    assert result.exit_code == 0
    assert "5 → 2" in result.output
    assert "即审即办" in result.output


@pytest.mark.parametrize(
    ("answers", "field"),
    [
        (ANSWERS.replace("300.00", "300.001"), "decoration_area_m2"),
        ("handled_by=self", "decoration_area_m2"),
        (ANSWERS + ",colour=red", "colour"),
        ("handled_by", "--answers"),
        ("/nowhere/answers.json", "--answers"),
    ],
)
def test_plan__wrong_answers__field_named_and_exit_code_two(answers: str, field: str) -> None:
    result = run("plan", GALLERY, "--answers", answers)
    assert result.exit_code == 2
    assert field in result.output


def test_plan__scenario_with_a_further_department__needs_its_file() -> None:
    file = BOOKSHOP / "bookshop-subsidy.yaml"
    assert run("check", file).exit_code == 2
    answers = "handled_by=self,open_at_night=false"
    result = run("plan", file, "--department", BOOKSHOP / "department.yaml", "--answers", answers)
    assert result.exit_code == 0
    assert "3 → 1" in result.output


DONOR_CARD = Path(__file__).parents[1] / "acceptance" / "data" / "donor-card"


@pytest.mark.parametrize(
    ("old", "new", "at", "remedy"),
    [
        ("  - {id: card-application", "\t- {id: card-application", "\t- {id", "不用制表符"),
        ('en: "For whom is the card?"', "en: For whom is the card?", "For whom", "加引号"),
        ("name: {zh: 无偿献血荣誉卡申领, en: Honour card of a blood donor}", "name: 荣誉卡", "name: 荣", "{zh: …, en: …}"),
        ("params: {days: 1825}", "params: {days: five years}", "five years", "→ 30"),
        ("max_age: 24h", "max_age: 1 day", "1 day", "10m、24h、30d"),
        ("{donor.donations_at_least: false}", "{doner.donations_at_least: false}", "doner", "→ donor.donations_at_least"),
        ("{donor.donations_at_least: false}", "{donor.donations_at_least: 5}", "least: 5", "true / false / unknown"),
        ("{id: card-application", "{id: card_application", "card_application", "kebab-case"),
        ("source: donor.full_name", "source: donor.name", "donor.name", "→ donor.full_name"),
        ("{serial:06}", "{serial:06}{sheet}", "{sheet}", "{year}"),
        ("from: 2020-01-01", "from: 2020/01/01", "2020/01/01", "YYYY-MM-DD"),
        ("principal: {applies_for: self}", "principal: {delivery: window}", "subjects:", "applies_for=self,delivery=electronic"),
        ("E40.donor\n    provider", "E41.donor\n    provider", "E41.donor", "lianban seed --department"),
        ("unit: working_day}\n\nsteps", "unit: days}\n\nsteps", "unit: days", "'working_day' or 'calendar_day'"),
    ],
)  # fmt: skip
def test_check__typical_mistake__says_where_and_what_to_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, at: str, remedy: str
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    text = (DONOR_CARD / "donor-card.yaml").read_text("utf-8")
    assert old in text
    text = text.replace(old, new, 1)
    file = tmp_path / "mine.yaml"
    file.write_text(text, "utf-8")
    result = run("check", file, "--department", DONOR_CARD / "department.yaml")
    assert result.exit_code == 2
    assert f"\n  {text[: text.index(at)].count(chr(10)) + 1}:" in result.output, result.output
    assert remedy in result.output, result.output


@pytest.mark.parametrize(
    ("old", "new", "at", "said"),
    [
        ("absence: unknown", "absense: unknown", "  E40:", "E40.absence"),
        ("type: predicate", "type: boolean", "type: boolean", "'predicate'"),
        ("type: integer\n", "type: int\n", "type: int\n", "'integer'"),
    ],
)
def test_check__faulty_department_file__its_own_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, at: str, said: str
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    text = (DONOR_CARD / "department.yaml").read_text("utf-8").replace(old, new, 1)
    file = tmp_path / "mine.yaml"
    file.write_text(text, "utf-8")
    result = run("check", DONOR_CARD / "donor-card.yaml", "--department", file)
    assert result.exit_code == 2
    assert f"mine.yaml:{text[: text.index(at)].count(chr(10)) + 1} haidian-health.evidence.E40" in result.output
    assert said in result.output


def test_check__prefill_from_what_the_scenario_does_not_have__named(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    text = GALLERY.read_text("utf-8")
    file.write_text(text.replace("handled_by: q.handled_by,", "handled_by: q.handled_bi,", 1), "utf-8")
    result = run("check", file)
    assert result.exit_code == 2
    assert "no subject role or question q.handled_bi" in " ".join(result.output.split())


# ---- diff


def gallery_with(folder: Path, old: str, new: str) -> Path:
    file = folder / "open-gallery.yaml"
    text = GALLERY.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new), "utf-8")
    return file


def difference(*arguments: object) -> Result:
    from orchestrator.cli_publish import app

    return CliRunner().invoke(app, ["diff", *(str(argument) for argument in arguments)])


def test_diff__two_files__changes_by_section_in_both_languages_with_departments_named(tmp_path: Path) -> None:
    result = difference(GALLERY, gallery_with(tmp_path, "max_age: 7d", "max_age: 8d"))
    assert result.exit_code == 0, result.output
    assert "向部门核验的数据及依据 · What departments are asked, and on which basis" in result.output
    assert "由海淀区住房和城乡建设委员会〔housing-construction〕提供" in result.output
    assert "原 7 天" in result.output
    assert "now 8 days" in result.output
    assert "Who plays which role" not in result.output


def test_diff__text_alone__told_as_such(tmp_path: Path) -> None:
    result = difference(GALLERY, gallery_with(tmp_path, "en: Open a gallery", "en: Open an art gallery"))
    assert "仅文字 · wording only" in result.output
    assert "“Open a gallery” → “Open an art gallery”" in result.output


def test_diff__same_file__no_difference() -> None:
    result = difference(GALLERY, GALLERY)
    assert (result.exit_code, "没有差别 · no difference" in result.output) == (0, True)


def test_diff__other_binding__who_plays_what(tmp_path: Path) -> None:
    before = FOLDER / "bindings" / "haidian.yaml"
    after = tmp_path / "binding.yaml"
    after.write_text(
        before.read_text("utf-8").replace("market-supervision: haidian-m", "market-supervision: xicheng-m")
    )
    result = difference(GALLERY, GALLERY, "--binding", after, "--binding-before", before)
    assert "席位分工 · Who plays which role" in result.output
    assert "数据提供〔market-supervision〕由 海淀区市场监督管理局 改为 xicheng-market-supervision" in result.output


def test_diff__faulty_file_or_unknown_version__said(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("id: x", "utf-8")
    assert difference(GALLERY, bad).exit_code == 2
    assert difference(GALLERY, tmp_path / "none.yaml").exit_code == 2
