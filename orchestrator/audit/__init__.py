"""Auditing a query log: whether a department's log only grew, is one for all, and holds what its answers promise."""
