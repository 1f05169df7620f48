// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import { EIP712 } from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import { MerkleProof } from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";

import { ICaseLedger } from "./interfaces/ICaseLedger.sol";
import { ICatalog } from "./interfaces/ICatalog.sol";
import { IConsortium } from "./interfaces/IConsortium.sol";
import { ConsistencyProof } from "./libraries/ConsistencyProof.sol";
import { SeatSet } from "./libraries/SeatSet.sol";
import { SeatSignature } from "./libraries/SeatSignature.sol";
import { CaseRefusal, Head, HeadRefusal, Sheet, SheetRefusal, Transition } from "./types/Batches.sol";
import { CaseId, CaseSlot, Status, Step } from "./types/Cases.sol";

/// @notice Implements {ICaseLedger}, where everything is described.
contract CaseLedger is ICaseLedger, EIP712 {
    using SeatSet for uint256;
    using SeatSignature for bytes;

    /// @dev What the Catalog says of a binding, remembered while a batch stays with it.
    struct Terms {
        uint40 binding;
        uint256 approvers;
        uint256 lead;
        bool known;
        bool live;
    }

    /// @dev An anchored head in one slot. 208 bits of a root are beyond finding a second log to.
    struct Anchor {
        uint48 size;
        bytes26 root;
    }

    bytes32 private constant TRANSITION_TYPEHASH =
        keccak256("Transition(bytes32 caseId,bytes32 dossierRoot,uint64 step)");
    bytes32 private constant SHEET_TYPEHASH = keccak256(
        "Sheet(uint8 seat,uint64 validUntil,Transition[] transitions)Transition(bytes32 caseId,bytes32 dossierRoot,uint64 step)"
    );
    bytes32 private constant HEAD_TYPEHASH = keccak256("Head(uint8 seat,uint64 size,bytes32 root)");
    uint256 private constant MAX_BATCH = 256;

    IConsortium public immutable consortium;
    ICatalog public immutable catalog;

    mapping(CaseId caseId => CaseSlot) private _cases;
    mapping(uint8 seat => Anchor) private _anchors;

    constructor(IConsortium consortium_, ICatalog catalog_) EIP712("Lianban", "1") {
        consortium = consortium_;
        catalog = catalog_;
    }

    /// @inheritdoc ICaseLedger
    function settle(Transition[] calldata transitions, Sheet[] calldata sheets, Head[] calldata heads) external {
        if (transitions.length > MAX_BATCH) revert CaseLedger_BatchTooLarge(transitions.length);

        uint256[] memory signers = _countSheets(transitions, sheets);
        Terms memory terms;
        for (uint256 i; i < transitions.length; ++i) {
            uint40 binding = transitions[i].step.binding();
            if (binding != terms.binding) terms = _termsOf(binding);
            _settle(transitions[i], terms, signers[i]);
        }
        for (uint256 i; i < heads.length; ++i) {
            _anchor(heads[i]);
        }
    }

    /// @inheritdoc ICaseLedger
    function statusOf(CaseId caseId) external view returns (Status) {
        return Status(_cases[caseId].step().statusCode());
    }

    /// @inheritdoc ICaseLedger
    function caseOf(CaseId caseId)
        external
        view
        returns (Status status, uint16 sequence, uint40 binding, uint192 commitment)
    {
        CaseSlot stored = _cases[caseId];
        Step step = stored.step();
        return (Status(step.statusCode()), uint16(step.sequence()), step.binding(), stored.commitment());
    }

    /// @inheritdoc ICaseLedger
    function headOf(uint8 seat) external view returns (uint64 size, bytes26 root) {
        return (_anchors[seat].size, _anchors[seat].root);
    }

    /// @inheritdoc ICaseLedger
    function verifyDossier(
        CaseId caseId,
        Step[] calldata steps,
        bytes32[] calldata roots,
        bytes32 leaf,
        bytes32[] calldata proof
    ) external view returns (bool) {
        if (steps.length == 0 || steps.length != roots.length) return false;
        CaseSlot replayed;
        for (uint256 i; i < steps.length; ++i) {
            replayed = replayed.advanced(steps[i], roots[i]);
        }
        if (CaseSlot.unwrap(replayed) != CaseSlot.unwrap(_cases[caseId])) return false;
        return MerkleProof.verifyCalldata(proof, roots[roots.length - 1], leaf);
    }

    /// @return signers For each transition, the bitmap of seats whose sheets count for it.
    function _countSheets(Transition[] calldata transitions, Sheet[] calldata sheets)
        private
        returns (uint256[] memory signers)
    {
        signers = new uint256[](transitions.length);
        bytes32[] memory hashes = new bytes32[](transitions.length);
        for (uint256 i; i < hashes.length; ++i) {
            hashes[i] = _hash(transitions[i]);
        }
        for (uint256 i; i < sheets.length; ++i) {
            Sheet calldata sheet = sheets[i];
            SheetRefusal refusal = _refusalOf(sheet, hashes);
            if (refusal != SheetRefusal.None) {
                emit SheetRefused(i, sheet.seat, refusal);
                continue;
            }
            for ((uint256 place, uint256 rest) = (0, sheet.covers); rest != 0; (++place, rest >>= 1)) {
                if (rest & 1 == 1) signers[place] = signers[place].with(sheet.seat);
            }
        }
    }

    function _settle(Transition calldata transition, Terms memory terms, uint256 signers) private {
        CaseId caseId = transition.caseId;
        CaseSlot stored = _cases[caseId];
        CaseRefusal refusal = _refusalOf(transition, stored.step(), terms, signers);
        if (refusal != CaseRefusal.None) {
            emit CaseRefused(caseId, transition.step, refusal);
            return;
        }

        _cases[caseId] = stored.advanced(transition.step, transition.dossierRoot);

        emit CaseSettled(caseId, transition.step, transition.dossierRoot);
    }

    function _anchor(Head calldata head) private {
        uint8 seat = head.seat;
        Anchor memory anchored = _anchors[seat];
        HeadRefusal refusal = _refusalOf(head, anchored);
        if (refusal == HeadRefusal.Stale && head.newSize == anchored.size && bytes26(head.newRoot) != anchored.root) {
            emit HeadConflicted(seat, head.newSize, head.newRoot);
            return;
        }
        if (refusal != HeadRefusal.None) {
            emit HeadRefused(seat, head.newSize, refusal);
            return;
        }

        _anchors[seat] = Anchor(uint48(head.newSize), bytes26(head.newRoot));

        emit HeadAnchored(seat, head.newSize, head.newRoot);
    }

    function _refusalOf(Sheet calldata sheet, bytes32[] memory hashes) private view returns (SheetRefusal) {
        if (block.timestamp > sheet.validUntil) return SheetRefusal.Expired;
        if (sheet.covers >> hashes.length != 0) return SheetRefusal.BeyondBatch;
        address signer = consortium.signerOf(sheet.seat);
        if (signer == address(0)) return SheetRefusal.SeatNotActive;
        if (!sheet.signature.isBy(signer, _digest(sheet, hashes))) return SheetRefusal.WrongSignature;
        return SheetRefusal.None;
    }

    function _refusalOf(Transition calldata transition, Step from, Terms memory terms, uint256 signers)
        private
        pure
        returns (CaseRefusal)
    {
        Step to = transition.step;
        if (transition.dossierRoot == 0) return CaseRefusal.ZeroRoot;
        if (to.statusCode() == 0 || to.statusCode() > uint256(type(Status).max)) return CaseRefusal.UnknownStatus;
        if (!terms.known) return CaseRefusal.UnknownBinding;
        if (from.statusCode() == 0) {
            if (!terms.live) return CaseRefusal.RetiredBinding;
        } else if (from.binding() != to.binding()) {
            return CaseRefusal.OtherBinding;
        }
        if (to.sequence() != from.sequence() + 1) return CaseRefusal.WrongSequence;
        if (!_follows(from.statusCode(), Status(to.statusCode()))) return CaseRefusal.ForbiddenMove;
        if (!_isSigned(Status(to.statusCode()), terms, signers)) return CaseRefusal.NotSigned;
        return CaseRefusal.None;
    }

    function _refusalOf(Head calldata head, Anchor memory anchored) private view returns (HeadRefusal) {
        if (head.newSize > type(uint48).max) return HeadRefusal.SizeTooLarge;
        address signer = consortium.signerOf(head.seat);
        if (signer == address(0)) return HeadRefusal.SeatNotActive;
        bytes32 digest = _hashTypedDataV4(keccak256(abi.encode(HEAD_TYPEHASH, head.seat, head.newSize, head.newRoot)));
        if (!head.signature.isBy(signer, digest)) return HeadRefusal.WrongSignature;
        if (head.newSize <= anchored.size) return HeadRefusal.Stale;
        if (head.oldSize != anchored.size) return HeadRefusal.NotFromAnchored;
        if (head.oldSize != 0 && bytes26(head.oldRoot) != anchored.root) return HeadRefusal.NotFromAnchored;
        if (!ConsistencyProof.isExtension(head.oldSize, head.oldRoot, head.newSize, head.newRoot, head.proof)) {
            return HeadRefusal.Inconsistent;
        }
        return HeadRefusal.None;
    }

    /// @dev I2.
    function _follows(uint256 from, Status to) private pure returns (bool) {
        if (from == uint256(Status.Approved)) return to == Status.Revoked;
        if (from > uint256(Status.Approved) || to == Status.Revoked) return false;
        return from == uint256(Status.None) || from != uint256(to);
    }

    /// @dev I1.
    function _isSigned(Status to, Terms memory terms, uint256 signers) private pure returns (bool) {
        if (to == Status.Approved) return signers & terms.approvers == terms.approvers;
        if (to == Status.Returned || to == Status.Refused) return signers & terms.approvers != 0;
        return signers.has(terms.lead);
    }

    function _termsOf(uint40 binding) private view returns (Terms memory terms) {
        terms.binding = binding;
        (terms.approvers, terms.lead, terms.known, terms.live) = catalog.termsOf(binding);
    }

    function _digest(Sheet calldata sheet, bytes32[] memory hashes) private view returns (bytes32) {
        uint256 covers = sheet.covers;
        bytes32[] memory covered = new bytes32[](covers.count());
        uint256 next;
        for (uint256 place; covers != 0; ++place) {
            if (covers & 1 == 1) covered[next++] = hashes[place];
            covers >>= 1;
        }
        bytes32 list = keccak256(abi.encodePacked(covered));
        return _hashTypedDataV4(keccak256(abi.encode(SHEET_TYPEHASH, sheet.seat, sheet.validUntil, list)));
    }

    function _hash(Transition calldata transition) private pure returns (bytes32) {
        return keccak256(abi.encode(TRANSITION_TYPEHASH, transition.caseId, transition.dossierRoot, transition.step));
    }
}
