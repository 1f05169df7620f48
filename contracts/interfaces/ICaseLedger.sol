// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import { CaseRefusal, Head, HeadRefusal, Sheet, SheetRefusal, Transition } from "../types/Batches.sol";
import { CaseId, DossierEntry, Status, Step } from "../types/Cases.sol";

/// @title Where every case stands, and how far every query log has come
/// @notice Moves cases as the seats of their bindings have signed, many at once, and anchors log heads.
/// @dev Invariants, by number:
///      I1 `Approved` only on the sheets of every approver of the binding; `Returned` or `Refused` on one approver's;
///         `Accepted`, `Withdrawn`, `Revoked`, `Suspended` on the lead's; each signed by a key in force at that block.
///      I2 None → Accepted | Returned | Approved | Refused | Withdrawn; Accepted → Returned | Approved | Refused | Withdrawn;
///         Returned → Accepted | Approved | Refused | Withdrawn; Approved → Suspended | Revoked;
///         Suspended → Approved | Revoked. Final is final.
///      I3 A case keeps the binding of its first transition; a retired binding takes no new case.
///      I4 No signature counts twice or elsewhere: sequence per case, validity, chain id and contract in the domain.
///      I5 Nothing personal is stored: ids and roots are salted hashes.
///      I6 A suspended or removed seat's signatures stop counting at once; what settled before stays.
///      I7 A log head only ever extends the one before.
///      I8 One bad transition, sheet or head never stops the others: an event tells its reason.
///      What is not promised: that a department's records are true, that a case was asked for by a person (the identity
///      seat vouches for that), and that a seat logs what it answers.
///
///      EIP-712 domain `{name: "Lianban", version: "1", chainId, verifyingContract}`; types
///      `Sheet(uint8 seat,uint64 validUntil,Transition[] transitions)Transition(bytes32 caseId,bytes32 dossierRoot,uint64 step)`
///      and `Head(uint8 seat,uint64 size,bytes32 root)`.
interface ICaseLedger {
    event CaseSettled(CaseId indexed caseId, Step step, bytes32 dossierRoot);
    event CaseRefused(CaseId indexed caseId, Step step, CaseRefusal reason);
    /// @param index The sheet's place in the batch.
    event SheetRefused(uint256 index, uint8 seat, SheetRefusal reason);
    event HeadAnchored(uint8 indexed seat, uint64 size, bytes32 root);
    event HeadRefused(uint8 indexed seat, uint64 size, HeadRefusal reason);
    /// @notice A seat signed another root for the size that is anchored: it shows different logs to different people.
    event HeadConflicted(uint8 indexed seat, uint64 size, bytes32 root);

    /// @notice A batch has at most 256 transitions.
    error CaseLedger_BatchTooLarge(uint256 transitions);

    /// @notice Counts the sheets, then moves the cases in order, then anchors the heads. Sent by anyone; any of the three may be
    ///         empty, so that whoever holds a head that its seat has signed can anchor it alone.
    /// @dev Cheapest with the transitions sorted by binding. Reverts only on calldata that is no ABI encoding and on a batch
    ///      that is too large.
    function settle(Transition[] calldata transitions, Sheet[] calldata sheets, Head[] calldata heads) external;

    /// @notice Where the case stands; `None` for one that does not exist.
    function statusOf(CaseId caseId) external view returns (Status);

    /// @notice All that the ledger keeps of a case; zero for one that does not exist.
    /// @return status Where it stands.
    /// @return sequence How many transitions it made.
    /// @return binding The number of its binding.
    /// @return commitment Low 192 bits of keccak256(commitment before, step, dossier root) as three words, rolled over
    ///         every transition from 0.
    function caseOf(CaseId caseId)
        external
        view
        returns (Status status, uint16 sequence, uint40 binding, uint192 commitment);

    /// @notice The seat's anchored log head; zero when there is none.
    /// @return size Leaves of the log.
    /// @return root First 26 bytes of the root (the whole of it is in `HeadAnchored`).
    function headOf(uint8 seat) external view returns (uint64 size, bytes26 root);

    /// @notice Whether these are all transitions that the case made, in order.
    /// @dev A contract cannot read its events, so whoever asks hands them in; the case's commitment tells whether they are right.
    /// @param steps All steps of the case so far, from its first `CaseSettled` on.
    /// @param roots Their dossier roots.
    function verifyHistory(CaseId caseId, Step[] calldata steps, bytes32[] calldata roots) external view returns (bool);

    /// @notice Whether an answer, a mandate, a verdict, a credential or whatever else lies in one of the case's dossiers.
    /// @param steps All steps of the case so far, from its first `CaseSettled` on.
    /// @param roots Their dossier roots.
    /// @param index Which of the transitions, from 0, has the dossier.
    /// @param proof Siblings from the leaf up, as `StandardMerkleTree` gives them.
    function verifyDossier(
        CaseId caseId,
        Step[] calldata steps,
        bytes32[] calldata roots,
        uint256 index,
        DossierEntry calldata entry,
        bytes32[] calldata proof
    ) external view returns (bool);

    /// @notice Whether a sheet carries the signature of the seat's key in force at the end of a block, be it long ago.
    /// @dev Says nothing about whether it was ever sent: the block is that of the `CaseSettled` in question, whose transition is
    ///      one of the sheet's. Validity is not looked at. Keys of a block that is still to come are as announced.
    /// @param transitions All that the sheet covers, in its order.
    function verifySheet(
        uint8 seat,
        uint64 validUntil,
        Transition[] calldata transitions,
        bytes calldata signature,
        uint256 blockNumber
    ) external view returns (bool);

    /// @notice Whether a query-log entry is under the seat's anchored head (RFC 9162, section 2.1.3.2).
    /// @param size The anchored head's.
    /// @param root The anchored head's, whole.
    /// @param index The entry's place in the log, from 0.
    /// @param leafHash SHA-256 of a zero byte and the entry.
    function verifyLogEntry(
        uint8 seat,
        uint64 size,
        bytes32 root,
        uint64 index,
        bytes32 leafHash,
        bytes32[] calldata proof
    ) external view returns (bool);

    /// @notice Whether one log head extends another (RFC 9162, section 2.1.4.2). Whose they are is for the caller to know.
    function verifyExtension(uint64 oldSize, bytes32 oldRoot, uint64 newSize, bytes32 newRoot, bytes32[] calldata proof)
        external
        view
        returns (bool);
}
