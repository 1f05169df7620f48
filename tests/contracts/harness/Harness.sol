// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import { ConsistencyProof } from "../../../contracts/libraries/ConsistencyProof.sol";
import { Hashing } from "../../../contracts/libraries/Hashing.sol";
import { InclusionProof } from "../../../contracts/libraries/InclusionProof.sol";
import { SeatSet } from "../../../contracts/libraries/SeatSet.sol";
import { CaseSlot, Step } from "../../../contracts/types/Cases.sol";

/// @notice The internal functions, made callable for tests. Never deployed elsewhere.
contract Harness {
    function isExtension(uint256 oldSize, bytes32 oldRoot, uint256 newSize, bytes32 newRoot, bytes32[] calldata proof)
        external
        view
        returns (bool)
    {
        return ConsistencyProof.isExtension(oldSize, oldRoot, newSize, newRoot, proof);
    }

    function isIncluded(bytes32 leafHash, uint256 index, uint256 size, bytes32 root, bytes32[] calldata proof)
        external
        view
        returns (bool)
    {
        return InclusionProof.isIncluded(leafHash, index, size, root, proof);
    }

    function advanced(CaseSlot slot, Step next, bytes32 dossierRoot) external pure returns (uint192) {
        return slot.advanced(next, dossierRoot).commitment();
    }

    function parts(Step step) external pure returns (uint256 status, uint256 sequence, uint40 binding) {
        return (step.statusCode(), step.sequence(), step.binding());
    }

    function keccakOf(bytes32[] memory words, uint256 chosen) external pure returns (bytes32) {
        return Hashing.keccakOf(words, chosen);
    }

    function lowest(uint256 set) external pure returns (uint256) {
        return SeatSet.lowest(set);
    }

    function count(uint256 set) external pure returns (uint256) {
        return SeatSet.count(set);
    }
}
