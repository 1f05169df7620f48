// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import { EIP712 } from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import { MerkleProof } from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";

import { ICaseLedger } from "./interfaces/ICaseLedger.sol";
import { ICatalog } from "./interfaces/ICatalog.sol";
import { IConsortium } from "./interfaces/IConsortium.sol";
import { ConsistencyProof } from "./libraries/ConsistencyProof.sol";
import { Hashing } from "./libraries/Hashing.sol";
import { InclusionProof } from "./libraries/InclusionProof.sol";
import { SeatSet } from "./libraries/SeatSet.sol";
import { SeatSignature } from "./libraries/SeatSignature.sol";
import { CaseRefusal, Head, HeadRefusal, Sheet, SheetRefusal, Transition } from "./types/Batches.sol";
import { CaseId, CaseSlot, DossierEntry, Status, Step, follows } from "./types/Cases.sol";

/// @notice Implements {ICaseLedger}, where everything is described.
contract CaseLedger is ICaseLedger, EIP712 {
    using Hashing for bytes32[];
    using SeatSet for uint256;
    using SeatSignature for bytes;

    /// @dev What a batch has for a binding, remembered while the batch stays with it. The bitmaps are over the batch.
    struct Terms {
        uint40 binding;
        bool known;
        bool live;
        /// The transitions that every approver signed, that at least one did, and that the lead did.
        uint256 byAll;
        uint256 byAny;
        uint256 byLead;
    }

    /// @dev A struct only so that its place in storage is computed once a transition.
    struct Case {
        CaseSlot slot;
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
    uint256 private constant SEATS = 256;

    IConsortium public immutable consortium;
    ICatalog public immutable catalog;

    mapping(CaseId caseId => Case) private _cases;
    mapping(uint8 seat => Anchor) private _anchors;

    constructor(IConsortium consortium_, ICatalog catalog_) EIP712("Lianban", "1") {
        consortium = consortium_;
        catalog = catalog_;
    }

    /// @inheritdoc ICaseLedger
    function settle(Transition[] calldata transitions, Sheet[] calldata sheets, Head[] calldata heads) external {
        if (transitions.length > MAX_BATCH) revert CaseLedger_BatchTooLarge(transitions.length);

        uint256[] memory signed = _countSheets(transitions, sheets);
        // slither-disable-next-line uninitialized-local -- all zero: binding 0 is nobody's and has no terms
        Terms memory terms;
        for (uint256 i; i < transitions.length; ++i) {
            Transition calldata transition = transitions[i];
            Step to = transition.step;
            if (to.binding() != terms.binding) terms = _termsOf(to.binding(), signed);
            _settle(transition.caseId, to, transition.dossierRoot, i, terms);
        }
        for (uint256 i; i < heads.length; ++i) {
            _anchor(heads[i]);
        }
    }

    /// @inheritdoc ICaseLedger
    function statusOf(CaseId caseId) external view returns (Status) {
        return Status(_cases[caseId].slot.step().statusCode());
    }

    /// @inheritdoc ICaseLedger
    function caseOf(CaseId caseId)
        external
        view
        returns (Status status, uint16 sequence, uint40 binding, uint192 commitment)
    {
        CaseSlot stored = _cases[caseId].slot;
        Step step = stored.step();
        return (Status(step.statusCode()), uint16(step.sequence()), step.binding(), stored.commitment());
    }

    /// @inheritdoc ICaseLedger
    function headOf(uint8 seat) external view returns (uint64 size, bytes26 root) {
        return (_anchors[seat].size, _anchors[seat].root);
    }

    /// @inheritdoc ICaseLedger
    function verifyHistory(CaseId caseId, Step[] calldata steps, bytes32[] calldata roots) public view returns (bool) {
        if (steps.length == 0 || steps.length != roots.length) return false;
        // slither-disable-next-line uninitialized-local -- a case that does not exist has a slot of zero
        CaseSlot replayed;
        for (uint256 i; i < steps.length; ++i) {
            replayed = replayed.advanced(steps[i], roots[i]);
        }
        return CaseSlot.unwrap(replayed) == CaseSlot.unwrap(_cases[caseId].slot);
    }

    /// @inheritdoc ICaseLedger
    function verifyDossier(
        CaseId caseId,
        Step[] calldata steps,
        bytes32[] calldata roots,
        uint256 index,
        DossierEntry calldata entry,
        bytes32[] calldata proof
    ) external view returns (bool) {
        if (index >= roots.length || !verifyHistory(caseId, steps, roots)) return false;
        return MerkleProof.verifyCalldata(proof, roots[index], entry.leafOf());
    }

    /// @inheritdoc ICaseLedger
    function verifySheet(
        uint8 seat,
        uint64 validUntil,
        Transition[] calldata transitions,
        bytes calldata signature,
        uint256 blockNumber
    ) external view returns (bool) {
        bytes32 list = keccak256(abi.encodePacked(_hash(transitions)));
        return signature.isBy(consortium.signerAt(seat, blockNumber), _digest(seat, validUntil, list));
    }

    /// @inheritdoc ICaseLedger
    function verifyLogEntry(
        uint8 seat,
        uint64 size,
        bytes32 root,
        uint64 index,
        bytes32 leafHash,
        bytes32[] calldata proof
    ) external view returns (bool) {
        Anchor memory anchored = _anchors[seat];
        // forge-lint: disable-next-line(unsafe-typecast) -- as much of a root as an anchor keeps
        if (size != anchored.size || bytes26(root) != anchored.root) return false;
        return InclusionProof.isIncluded(leafHash, index, size, root, proof);
    }

    /// @inheritdoc ICaseLedger
    function verifyExtension(uint64 oldSize, bytes32 oldRoot, uint64 newSize, bytes32 newRoot, bytes32[] calldata proof)
        external
        view
        returns (bool)
    {
        return ConsistencyProof.isExtension(oldSize, oldRoot, newSize, newRoot, proof);
    }

    /// @return signed By seat, the transitions that its sheets cover, as a bitmap over the batch.
    function _countSheets(Transition[] calldata transitions, Sheet[] calldata sheets)
        private
        returns (uint256[] memory signed)
    {
        signed = new uint256[](SEATS);
        bytes32[] memory hashes = _hash(transitions);
        for (uint256 i; i < sheets.length; ++i) {
            Sheet calldata sheet = sheets[i];
            SheetRefusal refusal = _refusalOf(sheet, hashes);
            if (refusal == SheetRefusal.None) signed[sheet.seat] |= sheet.covers;
            else emit SheetRefused(i, sheet.seat, refusal);
        }
    }

    function _settle(CaseId caseId, Step to, bytes32 root, uint256 place, Terms memory terms) private {
        Case storage stored = _cases[caseId];
        CaseSlot slot = stored.slot;
        CaseRefusal refusal = _refusalOf(slot.step(), to, root, place, terms);
        if (refusal != CaseRefusal.None) {
            emit CaseRefused(caseId, to, refusal);
            return;
        }

        stored.slot = slot.advanced(to, root);

        emit CaseSettled(caseId, to, root);
    }

    function _anchor(Head calldata head) private {
        uint8 seat = head.seat;
        Anchor memory anchored = _anchors[seat];
        HeadRefusal refusal = _refusalOf(head, anchored);
        if (refusal == HeadRefusal.Stale && _conflicts(head, anchored)) {
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
        // slither-disable-next-line timestamp -- validities are minutes, a validator's few seconds change nothing
        if (block.timestamp > sheet.validUntil) return SheetRefusal.Expired;
        if (sheet.covers >> hashes.length != 0) return SheetRefusal.BeyondBatch;
        // slither-disable-next-line calls-loop -- our own contract, fixed for ever; its view cannot revert
        address signer = consortium.signerOf(sheet.seat);
        if (signer == address(0)) return SheetRefusal.SeatNotActive;
        bytes32 digest = _digest(sheet.seat, sheet.validUntil, hashes.keccakOf(sheet.covers));
        if (!sheet.signature.isBy(signer, digest)) return SheetRefusal.WrongSignature;
        return SheetRefusal.None;
    }

    function _refusalOf(Step from, Step to, bytes32 root, uint256 place, Terms memory terms)
        private
        pure
        returns (CaseRefusal)
    {
        (uint256 before, uint256 next) = (from.statusCode(), to.statusCode());
        if (root == 0) return CaseRefusal.ZeroRoot;
        if (next == 0 || next > uint256(type(Status).max)) return CaseRefusal.UnknownStatus;
        if (!terms.known) return CaseRefusal.UnknownBinding;
        if (before == 0) {
            if (!terms.live) return CaseRefusal.RetiredBinding;
        } else if (from.binding() != to.binding()) {
            return CaseRefusal.OtherBinding;
        }
        if (to.sequence() != from.sequence() + 1) return CaseRefusal.WrongSequence;
        if (!follows(before, next)) return CaseRefusal.ForbiddenMove;
        if (!_signedFor(next, terms).has(place)) return CaseRefusal.NotSigned;
        return CaseRefusal.None;
    }

    function _refusalOf(Head calldata head, Anchor memory anchored) private view returns (HeadRefusal) {
        if (head.newSize > type(uint48).max) return HeadRefusal.SizeTooLarge;
        // slither-disable-next-line calls-loop -- our own contract, fixed for ever; its view cannot revert
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

    /// @dev Whether a seat signed another root for the size that is anchored.
    function _conflicts(Head calldata head, Anchor memory anchored) private pure returns (bool) {
        return anchored.size != 0 && head.newSize == anchored.size && bytes26(head.newRoot) != anchored.root;
    }

    /// @dev I1: the transitions that have the signatures which a move to `status` takes.
    function _signedFor(uint256 status, Terms memory terms) private pure returns (uint256) {
        if (status == uint256(Status.Approved)) return terms.byAll;
        if (status == uint256(Status.Returned) || status == uint256(Status.Refused)) return terms.byAny;
        return terms.byLead;
    }

    function _termsOf(uint40 binding, uint256[] memory signed) private view returns (Terms memory terms) {
        uint256 approvers;
        uint8 lead;
        terms.binding = binding;
        // slither-disable-next-line calls-loop -- our own contract, fixed for ever; its view cannot revert
        (approvers, lead, terms.known, terms.live) = catalog.termsOf(binding);
        terms.byLead = signed[lead];
        terms.byAll = type(uint256).max;
        for (; approvers != 0; approvers = approvers.rest()) {
            uint256 by = signed[approvers.lowest()];
            terms.byAll &= by;
            terms.byAny |= by;
        }
    }

    /// @param list EIP-712: an array counts as the hash of its members' hashes.
    function _digest(uint8 seat, uint64 validUntil, bytes32 list) private view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(SHEET_TYPEHASH, seat, validUntil, list)));
    }

    function _hash(Transition[] calldata transitions) private pure returns (bytes32[] memory hashes) {
        hashes = new bytes32[](transitions.length);
        for (uint256 i; i < transitions.length; ++i) {
            Transition calldata one = transitions[i];
            hashes[i] =
                Hashing.keccak4(TRANSITION_TYPEHASH, CaseId.unwrap(one.caseId), one.dossierRoot, Step.unwrap(one.step));
        }
    }
}
