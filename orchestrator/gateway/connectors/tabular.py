"""Tables in files: CSV (RFC 4180) and Excel workbooks (.xlsx), read strictly.

A file that was cut off on its way is `HalfWritten` and not taken; one that is whole but not what the adapter says is a
SourceFault that names row and column, never a value.
"""

from __future__ import annotations

import csv
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

from openpyxl import load_workbook

from orchestrator.gateway.connectors.cells import Cell, cell
from orchestrator.gateway.connectors.connector import SourceFault, missing_columns, wrong_cell
from orchestrator.gateway.layout import FileLayout, Table

MOST_UNPACKED: Final = 2 * 2**30
"""Bytes that a workbook may unpack to: more is no list of records."""


_ERRORS: Final = frozenset({"#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!", "#NULL!"})
"""What a spreadsheet shows where it could not compute."""
_UNCOMPUTED: Final = "#CALC!"
"""As a spreadsheet has it where nothing was computed."""


class HalfWritten(Exception):
    """The file ends before its end."""


def read_table(path: Path, name: str, table: Table, layout: FileLayout, most: int) -> Iterator[tuple[Cell, ...]]:
    """The rows of a file in the order of the table's columns; empty lines are left out.

    Raises HalfWritten, or SourceFault for a header without a column of the adapter, a value of the wrong type, more than
    `most` rows, or a file that is none of its kind.
    """
    lines = _workbook(path, name, layout) if path.suffix.lower() == ".xlsx" else _csv(path, name, layout)
    header: list[str] | None = None
    places: list[int | None] = []
    kinds = [(column, spec.type) for column, spec in table.columns.items()]
    count = 0
    for number, line in lines:
        if number < layout.header_row:
            continue
        if header is None:
            header = ["" if each is None else str(each).strip() for each in line]
            places = _places(header, name, table)
            continue
        if all(each is None or each == "" for each in line):
            continue
        count += 1
        if count > most:
            raise SourceFault(
                f"{name}.file",
                f"文件超过 {most} 行",
                f"the file has more than {most} rows",
                "提高 rows_in_file,或改用数据库来源 / raise rows_in_file, or use a database",
            )
        yield tuple(
            _cell(name, column, kind, line[place] if place is not None and place < len(line) else None, number)
            for (column, kind), place in zip(kinds, places, strict=True)
        )
    if header is None:
        raise HalfWritten


def _cell(name: str, column: str, kind: str, raw: Any, number: int) -> Cell:
    try:
        if raw == _UNCOMPUTED:
            raise _uncomputed(name, column, number)
        if isinstance(raw, str) and raw.strip() in _ERRORS:
            raise ValueError
        return cell(kind, raw)
    except ValueError:
        raise wrong_cell(name, column, kind, f"第 {number} 行 / line {number}: ") from None


def _uncomputed(name: str, column: str, number: int) -> SourceFault:
    return SourceFault(
        f"{name}.columns.{column}",
        f"第 {number} 行:公式尚未计算出结果",
        f"line {number}: a formula that was never computed",
        "用电子表格软件打开并保存一次,或导出数值 / open and save it once in a spreadsheet program, or export values",
    )


def _places(header: Sequence[str], name: str, table: Table) -> list[int | None]:
    titles = {column: spec.source or column for column, spec in table.columns.items()}
    missing = {
        column: title for column, title in titles.items() if title not in header and not table.columns[column].optional
    }
    if missing:
        raise missing_columns(name, missing, [title for title in header if title])
    twice = [title for title in titles.values() if header.count(title) > 1]
    if twice:
        raise SourceFault(
            f"{name}.file.header_row",
            f"表头重复:{twice[0]}",
            f"the header has {twice[0]} twice",
            "更正文件,或 header_row / correct the file, or header_row",
        )
    return [header.index(title) if title in header else None for title in titles.values()]


def _csv(path: Path, name: str, layout: FileLayout) -> Iterator[tuple[int, Sequence[Any]]]:
    """Lines with their numbers in the file. A last line without an end is one that is still being written."""
    with path.open("rb") as raw:
        if raw.seek(0, 2) == 0:
            raise HalfWritten
        raw.seek(-1, 2)
        if raw.read(1) not in (b"\n", b"\r"):
            raise HalfWritten
    width = 0
    encoding = "utf-8-sig" if layout.encoding == "utf-8" else layout.encoding
    with path.open(encoding=encoding, newline="") as stream:
        reader = csv.reader(stream, delimiter=layout.delimiter, strict=True)
        try:
            for number, line in enumerate(reader, 1):
                if number == layout.header_row:
                    width = len(line)
                if number > layout.header_row and line and len(line) != width:
                    raise SourceFault(
                        f"{name}.file",
                        f"第 {reader.line_num} 行有 {len(line)} 个字段,表头有 {width} 个",
                        f"line {reader.line_num} has {len(line)} fields, the header {width}",
                        "核对 delimiter 与引号 / check delimiter and quotes",
                    )
                yield number, line
        except UnicodeDecodeError:
            raise SourceFault(
                f"{name}.file.encoding",
                f"文件不是 {layout.encoding} 编码",
                f"the file is not {layout.encoding}",
                "encoding: utf-8 / gb18030",
            ) from None
        except csv.Error as error:
            if "end of data" in str(error):
                raise HalfWritten from None
            raise SourceFault(
                f"{name}.file",
                f"第 {reader.line_num} 行不是有效的 CSV",
                f"line {reader.line_num} is no valid CSV",
                "核对 delimiter 与引号 / check delimiter and quotes",
            ) from None


def _workbook(path: Path, name: str, layout: FileLayout) -> Iterator[tuple[int, Sequence[Any]]]:
    """Rows of one sheet with their numbers. Values are as they were computed last; nothing is run."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > MOST_UNPACKED:
            raise SourceFault(f"{name}.file", "工作簿过大", "the workbook is too large", "改用 CSV / use CSV")
        book, formulas = (
            load_workbook(path, read_only=True, data_only=computed, keep_links=False) for computed in (True, False)
        )
    except (zipfile.BadZipFile, EOFError, OSError):
        raise HalfWritten from None
    except (KeyError, ValueError, TypeError):
        raise SourceFault(
            f"{name}.file", "不是 Excel 工作簿", "this is no Excel workbook", "另存为 .xlsx / save as .xlsx"
        ) from None
    try:
        titles = [sheet.title for sheet in book.worksheets]
        if not titles or (layout.sheet is not None and layout.sheet not in titles):
            raise SourceFault(
                f"{name}.file.sheet",
                f"没有工作表 {layout.sheet}",
                f"there is no sheet {layout.sheet}",
                " / ".join(titles) or "—",
            )
        sheets = [each[layout.sheet if layout.sheet is not None else titles[0]] for each in (book, formulas)]
        for sheet in sheets:
            sheet.reset_dimensions()  # what the file says of its size is not always so
        lines, entered = sheets[0].iter_rows(), sheets[1].iter_rows(values_only=True)
        for number, (line, formulas_of) in enumerate(zip(lines, entered, strict=True), 1):
            yield number, [_computed(*each) for each in zip(line, formulas_of, strict=True)]
    except (zipfile.BadZipFile, zlib.error, ElementTree.ParseError, EOFError):
        raise HalfWritten from None
    finally:
        book.close()
        formulas.close()


def _computed(read: Any, entered: Any) -> Any:
    """A cell's value; an error for a formula that no program has computed yet, as files made by a library have it: that it
    reads as empty says nothing. An empty text is a value that was computed."""
    return _UNCOMPUTED if read.value is None and read.data_type != "str" and entered is not None else read.value
