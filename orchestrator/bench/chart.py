"""Bar charts of a few figures: for the terminal and as an SVG file, Chinese first. Bars start at zero and are linear."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from rich.console import Console
from rich.table import Table
from rich.text import Text

_EIGHTHS = "▏▎▍▌▋▊▉█"
_WIDTH = 40
"""Columns of the longest bar on a terminal."""

# The SVG, in its own units.
_LEFT, _SPAN, _RIGHT = 330, 500, 110
_TOP, _ROW, _BOTTOM = 64, 46, 40
_OURS, _OTHERS = "#0f766e", "#94a3b8"
_STYLE = (
    ".title{font-size:18px;font-weight:600;fill:#0f172a}.zh{font-size:14px;fill:#0f172a}"
    ".en{font-size:11px;fill:#475569}.value{font-size:13px;font-weight:600;fill:#0f172a}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar."""

    zh: str
    en: str
    value: int
    """Its length, not negative."""
    ours: bool = False
    """Ours are coloured."""


def blocks(value: int, most: int, width: int = _WIDTH) -> str:
    """A bar of `value`, where `most` fills `width` columns, in eighths of a column. Anything over zero is seen."""
    eighths = max(round(value / most * width * 8), 1) if value > 0 else 0
    return "█" * (eighths // 8) + (_EIGHTHS[eighths % 8 - 1] if eighths % 8 else "")


def print_chart(console: Console, bars: Sequence[Bar]) -> None:
    """The chart on a terminal; the longest bar spans it as far as there is room."""
    most = max(bar.value for bar in bars)
    table = Table.grid(padding=(0, 1))
    table.add_column()
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    for bar in bars:
        label = Text(bar.zh).append(f"\n{bar.en}", style="dim")
        style = "cyan" if bar.ours else "bright_black"
        table.add_row(label, Text(blocks(bar.value, most), style=style), f"{bar.value:,}")
    console.print(table)


def svg(bars: Sequence[Bar], *, title_zh: str, title_en: str, note: str) -> str:
    """The chart as an SVG document that needs nothing beside it."""
    most = max(bar.value for bar in bars)
    width, height = _LEFT + _SPAN + _RIGHT, _TOP + _ROW * len(bars) + _BOTTOM
    said = "; ".join(f"{bar.zh} {bar.en}: {bar.value:,}" for bar in bars)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        ' role="img" aria-labelledby="t d"'
        " font-family=\"system-ui,'Noto Sans CJK SC','PingFang SC','Microsoft YaHei',sans-serif\">",
        f'<title id="t">{escape(title_zh)} · {escape(title_en)}</title>',
        f'<desc id="d">{escape(said)}</desc>',
        f"<style>{_STYLE}</style>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text class="title" x="24" y="36">{escape(title_zh)} · {escape(title_en)}</text>',
    ]
    for row, bar in enumerate(bars):
        y = _TOP + _ROW * row
        length = round(bar.value / most * _SPAN, 1)
        parts += [
            f'<text class="zh" x="{_LEFT - 12}" y="{y + 17}" text-anchor="end">{escape(bar.zh)}</text>',
            f'<text class="en" x="{_LEFT - 12}" y="{y + 33}" text-anchor="end">{escape(bar.en)}</text>',
            f'<rect x="{_LEFT}" y="{y + 7}" width="{length}" height="26" rx="2"'
            f' fill="{_OURS if bar.ours else _OTHERS}"/>',
            f'<text class="value" x="{_LEFT + length + 8}" y="{y + 25}">{bar.value:,}</text>',
        ]
    parts += [f'<text class="en" x="24" y="{height - 16}">{escape(note)}</text>', "</svg>"]
    return "\n".join(parts) + "\n"
