"""Checking what people hand over: credentials, receipts of cases, answers of departments. No account, no portal.

Signatures and Merkle paths are checked here, by the seats' keys of the paper's day; those keys, and what the chain says now, come
from a node, or the keys from a file that was kept. What a paper does not prove is said as clearly as what it does.
"""
