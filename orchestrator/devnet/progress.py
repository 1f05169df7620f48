"""Progress on the screen while things start: one line a step, Chinese first, with the seconds that it took.

On a terminal the running step turns and counts; in a log file every step is one plain line when it is done.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


class Step:
    """A step that is running. `note` adds what it found out, shown when it is done."""

    def __init__(self) -> None:
        self.found = ""

    def note(self, text: str) -> None:
        """Says in a few words what came of the step: an address, a count."""
        self.found = text


class Steps:
    """Prints the steps of a start in order."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)

    @contextmanager
    def step(self, zh: str, en: str) -> Iterator[Step]:
        """Runs the block as one step. An exception is shown as a failed step and goes on to the caller."""
        step = Step()
        began = time.monotonic()
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        try:
            with Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal) as bar:
                bar.add_task(f"{zh} [dim]{en}[/dim]")
                yield step
        except BaseException:
            self._line("[red]✗[/red]", zh, en, began, step.found)
            raise
        self._line("[green]✓[/green]", zh, en, began, step.found)

    @contextmanager
    def counted(self, zh: str, en: str, total: int) -> Iterator[Callable[[int], None]]:
        """Runs the block as one step of `total` parts; call what it yields with the number of parts just done."""
        began = time.monotonic()
        done = 0
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        mark = "[red]✗[/red]"
        try:
            with Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal) as bar:
                task = bar.add_task(f"{zh} [dim]{en}[/dim]", total=total)

                def advance(parts: int) -> None:
                    nonlocal done
                    done += parts
                    bar.advance(task, parts)

                yield advance
            mark = "[green]✓[/green]"
        finally:
            self._line(mark, zh, en, began, f"{done}/{total}")

    def _line(self, mark: str, zh: str, en: str, began: float, found: str) -> None:
        seconds = f"[dim]{time.monotonic() - began:5.1f} s[/dim]"
        tail = f"  [cyan]{escape(found)}[/cyan]" if found else ""
        self.console.print(f"{mark} {seconds}  {zh} [dim]{en}[/dim]{tail}", soft_wrap=True)
