"""Bitwuzla as halmos calls a solver: `python scripts/solver.py FILE` obeys an SMT-LIB 2 file and prints what it is asked for.

Its package on PyPI has the library without the program.
"""

from __future__ import annotations

import sys

from bitwuzla import Option, Options, Parser, TermManager

options = Options()
options.set(Option.PRODUCE_MODELS, True)
Parser(TermManager(), options).parse(sys.argv[1])
