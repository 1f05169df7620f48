// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import { MerkleProof } from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";

import { ICaseLedger } from "../../../contracts/interfaces/ICaseLedger.sol";
import { ConsistencyProof } from "../../../contracts/libraries/ConsistencyProof.sol";
import { InclusionProof } from "../../../contracts/libraries/InclusionProof.sol";
import { CaseId, DossierEntry, Step } from "../../../contracts/types/Cases.sol";

/// @notice Many proofs in one call: by the libraries, and by the ledger's own views.
contract Proofs {
    struct Extension {
        uint64 oldSize;
        bytes32 oldRoot;
        uint64 newSize;
        bytes32 newRoot;
        bytes32[] proof;
    }

    struct Inclusion {
        bytes32 leafHash;
        uint64 index;
        uint64 size;
        bytes32 root;
        bytes32[] proof;
    }

    /// @dev The case made one transition, which had this dossier.
    struct Membership {
        CaseId caseId;
        Step step;
        bytes32 root;
        DossierEntry entry;
        bytes32[] proof;
    }

    function extensions(Extension[] calldata all) external view returns (bool[] memory holds) {
        holds = new bool[](all.length);
        for (uint256 i; i < all.length; ++i) {
            Extension calldata one = all[i];
            holds[i] = ConsistencyProof.isExtension(one.oldSize, one.oldRoot, one.newSize, one.newRoot, one.proof);
        }
    }

    function extensionsBy(ICaseLedger ledger, Extension[] calldata all) external view returns (bool[] memory holds) {
        holds = new bool[](all.length);
        for (uint256 i; i < all.length; ++i) {
            Extension calldata one = all[i];
            holds[i] = ledger.verifyExtension(one.oldSize, one.oldRoot, one.newSize, one.newRoot, one.proof);
        }
    }

    function inclusions(Inclusion[] calldata all) external view returns (bool[] memory holds) {
        holds = new bool[](all.length);
        for (uint256 i; i < all.length; ++i) {
            Inclusion calldata one = all[i];
            holds[i] = InclusionProof.isIncluded(one.leafHash, one.index, one.size, one.root, one.proof);
        }
    }

    /// @param seat The seat whose anchored head the proofs are under.
    function inclusionsBy(ICaseLedger ledger, uint8 seat, Inclusion[] calldata all)
        external
        view
        returns (bool[] memory holds)
    {
        holds = new bool[](all.length);
        for (uint256 i; i < all.length; ++i) {
            Inclusion calldata one = all[i];
            holds[i] = ledger.verifyLogEntry(seat, one.size, one.root, one.index, one.leafHash, one.proof);
        }
    }

    function leaves(DossierEntry[] calldata entries) external pure returns (bytes32[] memory hashes) {
        hashes = new bytes32[](entries.length);
        for (uint256 i; i < entries.length; ++i) {
            hashes[i] = entries[i].leafOf();
        }
    }

    function memberships(Membership[] calldata all) external pure returns (bool[] memory holds) {
        holds = new bool[](all.length);
        for (uint256 i; i < all.length; ++i) {
            holds[i] = MerkleProof.verifyCalldata(all[i].proof, all[i].root, all[i].entry.leafOf());
        }
    }

    function membershipsBy(ICaseLedger ledger, Membership[] calldata all) external view returns (bool[] memory holds) {
        holds = new bool[](all.length);
        Step[] memory steps = new Step[](1);
        bytes32[] memory roots = new bytes32[](1);
        for (uint256 i; i < all.length; ++i) {
            Membership calldata one = all[i];
            (steps[0], roots[0]) = (one.step, one.root);
            holds[i] = ledger.verifyDossier(one.caseId, steps, roots, 0, one.entry, one.proof);
        }
    }
}
