"""Deploys the contracts on a devnet: our own Anvil, or the node that LIANBAN_NODE_URL names. The same as `lianban deploy`."""

from __future__ import annotations

from orchestrator.devnet.commands import deploy_contracts

if __name__ == "__main__":
    deploy_contracts()
