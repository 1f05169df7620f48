"""A data folder outside pytest's own, whose rights pytest resets while other runs are under way."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def data_dir() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="lianban-test-"))
    yield folder
    shutil.rmtree(folder)
