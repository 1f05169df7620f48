from __future__ import annotations

import io
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from orchestrator.bench.chart import Bar, blocks, print_chart, svg

SVG = "{http://www.w3.org/2000/svg}"
BARS = [Bar(zh="别家", en="others & more", value=1000), Bar(zh="链办", en="<ours>", value=250, ours=True)]


@given(st.integers(0, 10**9), st.integers(1, 10**9), st.integers(1, 200))
def test_blocks__any__as_long_as_its_share_to_an_eighth(value: int, extra: int, width: int) -> None:
    most = value + extra
    bar = blocks(value, most, width)
    eighths = sum(8 if block == "█" else "▏▎▍▌▋▊▉".index(block) + 1 for block in bar)
    share = value / most * width * 8
    assert eighths == 1 if 0 < share < 1 else abs(eighths - share) <= 0.5
    assert len(bar) <= width


def test_print_chart__two_bars__labels_values_and_lengths() -> None:
    out = io.StringIO()
    print_chart(Console(file=out, width=100, force_terminal=False), BARS)
    lines = out.getvalue().splitlines()
    assert "others & more" in lines[1]
    assert "<ours>" in lines[3]
    assert lines[0].count("█") == 40
    assert lines[2].count("█") == 10
    assert "1,000" in lines[0]
    assert "250" in lines[2]


def test_svg__two_bars__well_formed_proportional_and_labelled() -> None:
    root = ElementTree.fromstring(svg(BARS, title_zh="题", title_en="title <&>", note="a & b"))
    bars = [each for each in root.iter(f"{SVG}rect") if each.get("rx")]
    widths = [float(each.get("width", "")) for each in bars]
    assert widths[0] == 4 * widths[1] > 0
    assert {each.get("x") for each in bars} == {bars[0].get("x")}
    assert bars[0].get("fill") != bars[1].get("fill")
    text = [each.text for each in root.iter(f"{SVG}text")]
    assert {"别家", "链办", "others & more", "<ours>", "1,000", "250", "题 · title <&>", "a & b"} <= set(text)


def test_svg__described__for_those_who_do_not_see_it() -> None:
    root = ElementTree.fromstring(svg(BARS, title_zh="题", title_en="title", note=""))
    described = root.find(f"{SVG}desc")
    assert described is not None
    assert "链办 <ours>: 250" in (described.text or "")


def test_svg__many_bars__all_inside_the_picture() -> None:
    root = ElementTree.fromstring(svg(BARS * 9, title_zh="题", title_en="title", note=""))
    width, height = float(root.get("width", "")), float(root.get("height", ""))
    for each in root.iter(f"{SVG}rect"):
        x, y = float(each.get("x", "0")), float(each.get("y", "0"))
        assert x + float(each.get("width", "")) <= width
        assert y + float(each.get("height", "")) <= height
