"""Dropped files: which one is taken, what is checked in it, and that nothing is written."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import os
import re
import sys
import time
import zipfile
from datetime import date
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from orchestrator.gateway.connectors.connector import Keys, Row, SourceFault
from orchestrator.gateway.connectors.files import FileConnector
from orchestrator.gateway.connectors.tabular import HalfWritten, read_table
from orchestrator.gateway.layout import FileLayout, Table
from orchestrator.gateway.sources import FileSource

HEADER = "编号,欠费,开户\n"


def table(pattern: str = "zh_{date}.csv", **layout: Any) -> Table:
    return Table.model_validate(
        {
            "look_up": {"zh": "s.id"},
            "file": {"pattern": pattern, **layout},
            "columns": {
                "zh": {"type": "varchar(20)", "comment": "-", "source": "编号"},
                "qf": {"type": "numeric(10,2)", "comment": "-", "source": "欠费"},
                "kh": {"type": "date", "comment": "-", "source": "开户", "optional": True},
            },
        }
    )


def drop(folder: Path, name: str, text: str, *, age: float = 60, encoding: str = "utf-8") -> Path:
    file = folder / name
    file.write_bytes(text.encode(encoding))
    then = time.time() - age
    os.utime(file, (then, then))
    return file


def connector(folder: Path, **source: Any) -> FileConnector:
    return FileConnector("drops", FileSource.model_validate({"kind": "files", "folder": folder, **source}))


def fetch(connector: FileConnector, table: Table, keys: Keys = None, most: int = 100) -> list[Row]:
    return asyncio.run(connector.fetch("sw_zh", table, keys, most))


def test_fetch__several_files__newest_by_its_name(tmp_path: Path) -> None:
    drop(tmp_path, "zh_20260302.csv", HEADER + "A,1,20200101\nB,2,\n")
    drop(tmp_path, "zh_2026-03-01.csv", HEADER + "A,9,\n", age=6)  # written later, but older by name
    drop(tmp_path, "zh_20261399.csv", HEADER + "A,7,\n")  # no date
    drop(tmp_path, "zh_20260303.csv.part", HEADER + "A,8,\n")
    os.symlink(tmp_path / "zh_2026-03-01.csv", tmp_path / "zh_20270101.csv")
    os.utime(tmp_path / "zh_20270101.csv", (1, 1), follow_symlinks=False)

    rows = fetch(connector(tmp_path), table(), {"zh": ["A", "A", "C"]})

    assert rows == [{"zh": "A", "qf": "1.00", "kh": "2020-01-01"}]


def test_fetch__a_newer_file_comes__taken_without_a_restart(tmp_path: Path) -> None:
    files = connector(tmp_path)
    drop(tmp_path, "zh_20260302.csv", HEADER + "A,1,\n")
    assert fetch(files, table())[0]["qf"] == "1.00"
    drop(tmp_path, "zh_20260303.csv", HEADER + "A,2,\n")
    assert fetch(files, table())[0]["qf"] == "2.00"
    drop(tmp_path, "zh_20260303.csv", HEADER + "A,3,\n", age=30)  # the same name, written again
    assert fetch(files, table())[0]["qf"] == "3.00"


@pytest.mark.parametrize(
    ("text", "age"),
    [
        (HEADER + "A,2,\n", 0),  # still being written
        (HEADER + "A,2", 60),  # cut off within a line
        (HEADER + 'A,"2\n', 60),  # cut off within a quoted field
        ("", 60),
    ],
)
def test_fetch__half_written__the_file_before_stays(tmp_path: Path, text: str, age: float) -> None:
    drop(tmp_path, "zh_20260302.csv", HEADER + "A,1,\n")
    drop(tmp_path, "zh_20260303.csv", text, age=age)

    assert fetch(connector(tmp_path), table())[0]["qf"] == "1.00"


def test_fetch__half_written_over_the_one_in_use__what_was_taken_stays(tmp_path: Path) -> None:
    files, own = connector(tmp_path), table("zh.csv")
    drop(tmp_path, "zh.csv", HEADER + "A,1,\n")
    fetch(files, own)
    drop(tmp_path, "zh.csv", HEADER + "A,", age=0)

    assert fetch(files, own)[0]["qf"] == "1.00"


def test_fetch__only_a_half_written_workbook__a_fault(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["编号", "欠费"])
    whole = io.BytesIO()
    book.save(whole)
    drop(tmp_path, "zh.xlsx", "")
    (tmp_path / "zh.xlsx").write_bytes(whole.getvalue()[:-30])
    os.utime(tmp_path / "zh.xlsx", (1, 1))

    with pytest.raises(SourceFault) as caught:
        fetch(connector(tmp_path), table("zh.xlsx"))

    assert caught.value.field == "sw_zh.file.pattern"


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("编号,欠款\nA,1\n", "sw_zh.columns.qf.source"),
        ("编号,欠费,欠费\nA,1,2\n", "sw_zh.file.header_row"),
        (HEADER + "A,一百,\n", "sw_zh.columns.qf"),
        (HEADER + "A,1\n", "sw_zh.file"),
        (HEADER + "A,1,2,3\n", "sw_zh.file"),
        (HEADER + "A,#N/A,\n", "sw_zh.columns.qf"),
        (HEADER + 'A,"1"2,\n', "sw_zh.file"),
    ],
)
def test_fetch__not_as_the_adapter_says__fault_names_the_field(tmp_path: Path, text: str, field: str) -> None:
    """A whole file that is wrong is not passed over for an older one: that would answer from old rows unseen."""
    drop(tmp_path, "zh_20260301.csv", HEADER + "A,1,\n")
    drop(tmp_path, "zh_20260302.csv", text)

    with pytest.raises(SourceFault) as caught:
        fetch(connector(tmp_path), table())

    assert caught.value.field == field
    assert caught.value.remedy
    assert "一百" not in str(caught.value)


def test_fetch__wrong_encoding__fault_names_it(tmp_path: Path) -> None:
    drop(tmp_path, "zh_20260302.csv", HEADER + "A,1,\n", encoding="gb18030")

    with pytest.raises(SourceFault) as caught:
        fetch(connector(tmp_path), table())
    assert caught.value.field == "sw_zh.file.encoding"
    assert fetch(connector(tmp_path), table(encoding="gb18030"))[0]["zh"] == "A"


def test_fetch__two_newest__fault(tmp_path: Path) -> None:
    drop(tmp_path, "zh_20260302.csv", HEADER + "A,1,\n")
    drop(tmp_path, "zh_2026-03-02.csv", HEADER + "A,2,\n")

    with pytest.raises(SourceFault, match="two files"):
        fetch(connector(tmp_path), table())


def test_fetch__newest_file_too_old__fault(tmp_path: Path) -> None:
    drop(tmp_path, "zh_20200302.csv", HEADER + "A,1,\n")

    with pytest.raises(SourceFault, match="days old"):
        fetch(connector(tmp_path), table(max_age_days=7))


def test_fetch__more_rows_than_a_file_may_have__fault(tmp_path: Path) -> None:
    drop(tmp_path, "zh_20260302.csv", HEADER + "A,1,\nB,1,\nC,1,\n")

    with pytest.raises(SourceFault, match="more than 2 rows"):
        fetch(connector(tmp_path, rows_in_file=2), table())


def test_fetch__no_folder__fault_names_it(tmp_path: Path) -> None:
    with pytest.raises(SourceFault) as caught:
        fetch(connector(tmp_path / "none"), table())

    assert caught.value.field == "sources.yaml.drops.folder"


def test_fetch__several_columns__rows_that_fit_one_come_once(tmp_path: Path) -> None:
    drop(tmp_path, "zh_20260302.csv", HEADER + "A,1,\nB,2,\nC,3,\n")
    keys = {"zh": ["A", "B"], "qf": ["2", "3.00", "x"]}

    assert sorted(str(row["zh"]) for row in fetch(connector(tmp_path), table(), keys)) == ["A", "B", "C"]


def test_fetch__most_rows__one_more_at_most(tmp_path: Path) -> None:
    drop(tmp_path, "zh_20260302.csv", HEADER + "".join(f"{n},1,\n" for n in range(50)))

    assert len(fetch(connector(tmp_path), table(), None, 10)) == 11


def test_fetch__folder_and_file_not_writable__read_all_the_same(tmp_path: Path) -> None:
    """Nothing is opened for writing: a file and a folder that nobody may write, and no trace in the folder."""
    file = drop(tmp_path, "zh_20260302.csv", HEADER + "A,1,\n")
    before = file.stat()
    opened: list[tuple[str, Any]] = []
    watching = True

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if watching and event == "open" and str(args[0]).startswith(str(tmp_path)):
            opened.append((str(args[0]), args[2]))

    sys.addaudithook(hook)
    file.chmod(0o400)
    tmp_path.chmod(0o500)
    try:
        assert fetch(connector(tmp_path), table())
    finally:
        watching = False
        tmp_path.chmod(0o700)

    assert opened
    assert all(not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC) for _, flags in opened)
    assert os.listdir(tmp_path) == [file.name]
    assert (file.stat().st_mtime_ns, file.stat().st_size) == (before.st_mtime_ns, before.st_size)


def test_fetch__workbook__values_sheet_and_header_row(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["其他"])
    sheet = book.create_sheet("账户")
    sheet.append(["用水账户(内部)"])
    sheet.append(["编号", "户名", "欠费", "开户"])
    sheet.append(["A", "甲", 120.5, date(2020, 1, 1)])
    sheet.append([])
    sheet.append([7, "乙", 0, None])
    book.save(tmp_path / "zh_3.xlsx")
    os.utime(tmp_path / "zh_3.xlsx", (1, 1))
    layout = {"sheet": "账户", "header_row": 2}

    rows = fetch(connector(tmp_path), table("zh_{number}.xlsx", **layout))

    assert rows == [{"zh": "A", "qf": "120.50", "kh": "2020-01-01"}, {"zh": "7", "qf": "0.00", "kh": None}]
    with pytest.raises(SourceFault) as caught:
        fetch(connector(tmp_path), table("zh_{number}.xlsx", sheet="无"))
    assert caught.value.field == "sw_zh.file.sheet"


def with_formula(path: Path, cell: str) -> None:
    """A workbook whose amount is a formula, its cell as `cell` has it."""
    book = openpyxl.Workbook()
    book.active.append(["编号", "欠费"])
    book.active.append(["A", "=1+1"])
    book.save(path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    said, count = re.subn(rb'<c r="B2".*?</c>', cell.encode(), parts[sheet])
    assert count == 1
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**parts, sheet: said}.items():
            archive.writestr(name, content)
    os.utime(path, (1, 1))


@pytest.mark.parametrize("said", ["<v></v>", "<v/>", ""])
def test_fetch__formula_never_computed__fault_and_not_empty(tmp_path: Path, said: str) -> None:
    with_formula(tmp_path / "zh.xlsx", f'<c r="B2"><f>1+1</f>{said}</c>')

    with pytest.raises(SourceFault) as caught:
        fetch(connector(tmp_path), table("zh.xlsx"))

    assert caught.value.field == "sw_zh.columns.qf"
    assert "line 2: a formula that was never computed" in caught.value.detail_en


@pytest.mark.parametrize(
    ("cell", "value"), [('<c r="B2"><f>1+1</f><v>2</v></c>', "2.00"), ('<c r="B2" t="str"><f>""</f><v></v></c>', None)]
)
def test_fetch__formula_computed__its_value(tmp_path: Path, cell: str, value: str | None) -> None:
    with_formula(tmp_path / "zh.xlsx", cell)
    assert fetch(connector(tmp_path), table("zh.xlsx")) == [{"zh": "A", "qf": value, "kh": None}]


def test_fetch__workbook_that_is_none__fault_names_it(tmp_path: Path) -> None:
    drop(tmp_path, "zh.xlsx", "PK\x03\x04 nothing of the kind")

    with pytest.raises(SourceFault) as caught:
        fetch(connector(tmp_path), table("zh.xlsx"))

    assert "zh.xlsx" in caught.value.detail_en


def test_fetch__no_file_of_that_name__fault_names_those_there_are(tmp_path: Path) -> None:
    drop(tmp_path, "accounts_20260302.csv", HEADER)

    with pytest.raises(SourceFault) as caught:
        fetch(connector(tmp_path), table())

    assert caught.value.field == "sw_zh.file.pattern"
    assert "zh_{date}.csv" in caught.value.detail_en
    assert "accounts_20260302.csv" in caught.value.remedy


def test_fetch__long_file_comes__old_rows_until_it_is_read(tmp_path: Path) -> None:
    files = connector(tmp_path, timeout=0.4)
    drop(tmp_path, "zh_20260302.csv", HEADER + "A,1,\n")
    assert fetch(files, table())[0]["qf"] == "1.00"
    drop(tmp_path, "zh_20260303.csv", HEADER + "A,2,\n" + "".join(f"{n},1,20260302\n" for n in range(200_000)))
    assert fetch(files, table(), {"zh": ["A"]})[0]["qf"] == "1.00"

    deadline = time.monotonic() + 60
    while fetch(files, table(), {"zh": ["A"]})[0]["qf"] == "1.00" and time.monotonic() < deadline:
        time.sleep(0.05)

    assert fetch(files, table(), {"zh": ["A"]})[0]["qf"] == "2.00"


@pytest.mark.parametrize("pattern", ["../zh.csv", "a/zh.csv", "zh*.csv", "zh_{day}.csv", "zh.xls", ".zh.csv"])
def test_file_layout__pattern_that_is_no_name__invalid(pattern: str) -> None:
    with pytest.raises(ValidationError):
        FileLayout(pattern=pattern)


CELL = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12).map(str.strip)


@given(st.lists(st.tuples(CELL.filter(lambda text: not text.startswith("#")), st.integers(-9999, 9999)), max_size=8))
def test_read_table__whatever_csv_was_written__the_same_comes_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, int]]
) -> None:
    file = tmp_path_factory.getbasetemp() / "round.csv"
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["名称", "编号", "欠费"])
        writer.writerows([name, f"n{at}", amount] for at, (name, amount) in enumerate(rows))
    own = Table.model_validate(
        {
            "columns": {
                "qf": {"type": "integer", "comment": "-", "source": "欠费"},
                "mc": {"type": "text", "comment": "-", "source": "名称"},
            },
        }
    )

    found = list(read_table(file, "t", own, FileLayout(pattern="round.csv"), 100))

    assert found == [(amount, name or None) for name, amount in rows]


@given(st.binary(max_size=200), st.sampled_from(["any.csv", "any.xlsx"]))
def test_read_table__any_bytes__rows_fault_or_half_written(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str
) -> None:
    file = tmp_path_factory.getbasetemp() / name
    file.write_bytes(content)
    with contextlib.suppress(SourceFault, HalfWritten):
        list(read_table(file, "t", table(), FileLayout(pattern=name), 100))


@given(st.integers(0, 400))
def test_read_table__cut_anywhere__never_a_shorter_list_with_a_cut_value(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    """A file that ends early is refused, or ends with a whole line: no value is ever cut in two."""
    lines = ["编号,欠费,开户\n", *(f"ZH{n:04},{n * 137},20260302\n" for n in range(20))]
    whole = "".join(lines).encode()
    file = tmp_path_factory.getbasetemp() / "cut.csv"
    file.write_bytes(whole[:cut])
    try:
        rows = list(read_table(file, "t", table(), FileLayout(pattern="cut.csv"), 100))
    except (SourceFault, HalfWritten):
        return
    assert all(qf == f"{n * 137}.00" for n, (_, qf, _) in enumerate(rows))
