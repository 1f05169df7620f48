"""Deciding by published rules: `engine.py` is the only door to the rules engine."""
