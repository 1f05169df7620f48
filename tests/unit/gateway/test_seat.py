"""Adapter files taken up while a gateway runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestrator.gateway.seat import AdapterFiles
from orchestrator.scenarios import department_files

MARKET = "haidian-market-supervision"
ADDITION = """
extends: {owner}
records:
  {record}:
    name: {{zh: 画廊名录, en: Gallery list}}
    tables:
      {table}:
        columns:
          uniscid: {{type: char(18), comment: 统一社会信用代码}}
        key: [uniscid]
evidence:
  {evidence}:
    slug: gallery-list
    name: {{zh: 画廊名录, en: Gallery list}}
    records: [{record}]
    subjects: [uscc]
    absence: answer
    record: select s.n, g.uniscid from subject s join {table} g on g.uniscid = s.id
    claims:
      on_gallery_list:
        name: {{zh: 在画廊名录, en: On the gallery list}}
        type: predicate
        sql: r.n is not null
"""


def document() -> Path:
    return next(path for path in department_files() if path.stem == MARKET)


def addition(folder: Path, name: str, *, owner: str = MARKET, evidence: str = "E901", record: str = "R901") -> Path:
    path = folder / name
    path.write_text(
        ADDITION.format(owner=owner, evidence=evidence, record=record, table=f"t_{record.lower()}"), encoding="utf-8"
    )
    return path


def touch(path: Path) -> None:
    """Gives a file another time of change, however coarse the clock."""
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 1_000_000))


def test_adapter_files__nothing_happens__not_changed(tmp_path: Path) -> None:
    files = AdapterFiles(MARKET, document(), tmp_path)
    assert not files.changed()
    assert "E05" in files.adapter.evidence


def test_adapter_files__addition_comes_changes_and_goes__taken_up(tmp_path: Path) -> None:
    files = AdapterFiles(MARKET, document(), tmp_path)
    path = addition(tmp_path, "gallery.yaml")
    assert files.changed()
    assert "E901" in files.adapter.evidence
    assert not files.changed()
    addition(tmp_path, "gallery.yaml", evidence="E902")
    touch(path)
    assert files.changed()
    assert {"E902", "E05"} <= files.adapter.evidence.keys()
    assert "E901" not in files.adapter.evidence
    path.unlink()
    assert files.changed()
    assert "E902" not in files.adapter.evidence


def test_adapter_files__addition_of_other_department__left_aside(tmp_path: Path) -> None:
    files = AdapterFiles(MARKET, document(), tmp_path)
    addition(tmp_path, "tax.yaml", owner="beijing-tax")
    files.changed()
    assert "E901" not in files.adapter.evidence


@pytest.mark.parametrize("text", ["extends: [", "extends: haidian-market-supervision\nevidence: {E05: {}}", "- 1"])
def test_adapter_files__faulty_addition__last_good_adapter_stays(tmp_path: Path, text: str) -> None:
    addition(tmp_path, "a.yaml")
    files = AdapterFiles(MARKET, document(), tmp_path)
    (tmp_path / "b.yaml").write_text(text, encoding="utf-8")
    assert not files.changed()
    assert "E901" in files.adapter.evidence
    addition(tmp_path, "b.yaml", evidence="E903", record="R903")
    touch(tmp_path / "b.yaml")
    assert files.changed()
    assert {"E901", "E903"} <= files.adapter.evidence.keys()
