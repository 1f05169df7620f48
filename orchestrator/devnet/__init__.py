"""The devnet: everything that Lianban needs around it, started on one machine with nothing to install.

PostgreSQL and an EVM node of our own (or the ones that the settings name), the services as child processes, and
progress on the screen while they start.
"""
