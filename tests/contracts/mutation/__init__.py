"""Mutation testing of the contracts: small faults are put into them one at a time, and the tests have to notice each.

    python -m tests.contracts.mutation --workers 2

`docs/mutation.md` is what it writes; `operators.py` says which faults there are.
"""
