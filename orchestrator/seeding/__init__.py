"""Seeding: department databases for a devnet, filled with a reproducible population and a cast of known cases.

Nobody in it is real: citizen numbers use a region code that is not assigned, organisation codes a block that is not
issued.
"""
