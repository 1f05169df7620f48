"""Measurements of Lianban beside what others do with the same case, in one run and on the same node."""
