"""Lianban (链办): government services, handled on chain."""
