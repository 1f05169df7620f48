"""Deploys the contracts on a consortium's chain, whose council is a multisig that exists there already.

    python deploy/consortium.py --node URL --chain-id 2025 --council 0x… --key keys/deployer --passphrase-file FILE

The deployer only pays for the transactions and has no rights afterwards. Seats are admitted by the council itself.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from orchestrator.domain.errors import LianbanError
from orchestrator.ledger.deploy import deploy
from orchestrator.protocol.keyset import load_seat_keys


def main() -> None:
    """Deploys, or checks what the deployment file names, and prints it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--node", required=True, help="JSON-RPC address of a node")
    parser.add_argument("--chain-id", required=True, type=int, help="the chain id that the node must have")
    parser.add_argument("--council", required=True, help="address of the council's multisig")
    parser.add_argument("--veto-blocks", required=True, type=int, help="blocks in which a seat can veto a key change")
    parser.add_argument("--key", required=True, type=Path, help="folder with the deployer's chain.json")
    parser.add_argument("--passphrase-file", required=True, type=Path, help="file with that key's passphrase")
    parser.add_argument("--file", type=Path, default=Path("deployment.json"), help="the deployment file to write")
    given = parser.parse_args()
    try:
        deployer = load_seat_keys(given.key, given.passphrase_file.read_text().strip(), {"chain"}).chain
        deployment = deploy(
            given.node,
            deployer,
            given.file,
            council=given.council,
            veto_blocks=given.veto_blocks,
            chain_id=given.chain_id,
        )
    except LianbanError as error:
        raise SystemExit(f"✗ {error}\n  → {error.remedy}") from None
    for name, value in asdict(deployment).items():
        print(f"{name:<11}{value}")


if __name__ == "__main__":
    main()
