"""Connectors: how rows get out of the systems in which a department keeps them. All of them only read."""
