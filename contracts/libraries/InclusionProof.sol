// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import { Hashing } from "./Hashing.sol";

/// @notice Whether an append-only log has a leaf at a place: RFC 9162, section 2.1.3.2, with SHA-256. Never reverts.
library InclusionProof {
    /// @param index The leaf's place, from 0.
    /// @param size Leaves of the tree.
    /// @param proof The nodes of the RFC, in its order, none left over.
    function isIncluded(bytes32 leafHash, uint256 index, uint256 size, bytes32 root, bytes32[] calldata proof)
        internal
        view
        returns (bool)
    {
        if (index >= size) return false;

        bytes32 node = leafHash;
        uint256 last = size - 1;
        for (uint256 i; i < proof.length; ++i) {
            if (last == 0) return false;
            if (index & 1 == 1 || index == last) {
                node = Hashing.sha256Node(proof[i], node);
                while (index & 1 == 0 && index != 0) {
                    index >>= 1;
                    last >>= 1;
                }
            } else {
                node = Hashing.sha256Node(node, proof[i]);
            }
            index >>= 1;
            last >>= 1;
        }
        return last == 0 && node == root;
    }
}
