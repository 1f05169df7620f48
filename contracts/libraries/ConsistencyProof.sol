// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import { Hashing } from "./Hashing.sol";

/// @notice Whether one append-only log extends another: RFC 9162, section 2.1.4.2, with SHA-256. Never reverts.
library ConsistencyProof {
    /// @param oldSize Leaves of the old tree. Every tree extends the empty one, with an empty proof whatever `oldRoot` is.
    /// @param newSize Leaves of the new tree. Only a larger tree extends.
    /// @param proof The nodes of the RFC, in its order, none left over.
    function isExtension(uint256 oldSize, bytes32 oldRoot, uint256 newSize, bytes32 newRoot, bytes32[] calldata proof)
        internal
        view
        returns (bool)
    {
        if (newSize <= oldSize) return false;
        if (oldSize == 0) return proof.length == 0;
        if (proof.length == 0) return false;

        // The root of a full old tree is the first node itself and is left out of the proof.
        bool full = oldSize & (oldSize - 1) == 0;
        bytes32 oldNode = full ? oldRoot : proof[0];
        bytes32 newNode = oldNode;
        uint256 oldIndex = oldSize - 1;
        uint256 newIndex = newSize - 1;
        while (oldIndex & 1 == 1) {
            oldIndex >>= 1;
            newIndex >>= 1;
        }
        for (uint256 i = full ? 0 : 1; i < proof.length; ++i) {
            if (newIndex == 0) return false;
            if (oldIndex & 1 == 1 || oldIndex == newIndex) {
                oldNode = Hashing.sha256Node(proof[i], oldNode);
                newNode = Hashing.sha256Node(proof[i], newNode);
                while (oldIndex & 1 == 0 && oldIndex != 0) {
                    oldIndex >>= 1;
                    newIndex >>= 1;
                }
            } else {
                newNode = Hashing.sha256Node(newNode, proof[i]);
            }
            oldIndex >>= 1;
            newIndex >>= 1;
        }
        return newIndex == 0 && oldNode == oldRoot && newNode == newRoot;
    }
}
