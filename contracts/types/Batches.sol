// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import { CaseId, Step } from "./Cases.sol";

/// @notice One case's next step with the root of the dossier that it rests on.
struct Transition {
    CaseId caseId;
    bytes32 dossierRoot;
    Step step;
}

/// @notice What one seat signs in a batch: the covered transitions, in batch order.
struct Sheet {
    uint8 seat;
    /// Last second (Unix time) at which the signature counts.
    uint64 validUntil;
    /// Bitmap over the batch: bit i covers `transitions[i]`. Not signed itself; the covered transitions are.
    uint256 covers;
    /// EIP-712 `Sheet(uint8 seat,uint64 validUntil,Transition[] transitions)`, 65 bytes.
    bytes signature;
}

/// @notice A seat's new query-log head with the proof that it extends the anchored one.
struct Head {
    uint8 seat;
    /// The anchored head. Size 0 when the seat has none yet; its root is then not looked at and the proof is empty.
    uint64 oldSize;
    bytes32 oldRoot;
    uint64 newSize;
    bytes32 newRoot;
    /// RFC 9162 consistency proof from `oldSize` to `newSize`.
    bytes32[] proof;
    /// EIP-712 `Head(uint8 seat,uint64 size,bytes32 root)` over the new head, 65 bytes.
    bytes signature;
}

/// @notice Why a transition was refused.
enum CaseRefusal {
    None,
    /// The dossier root is zero.
    ZeroRoot,
    /// The status is none of Accepted … Suspended.
    UnknownStatus,
    /// The Catalog has no such binding.
    UnknownBinding,
    /// The case began under another binding.
    OtherBinding,
    /// The binding is retired and the case is new.
    RetiredBinding,
    /// Not the number after the case's last one.
    WrongSequence,
    /// The status does not follow from the case's present one.
    ForbiddenMove,
    /// The seats whose word it takes have not all signed.
    NotSigned
}

/// @notice Why a sheet was not counted.
enum SheetRefusal {
    None,
    /// `validUntil` has passed.
    Expired,
    /// It covers a transition that the batch does not have.
    BeyondBatch,
    /// The seat does not exist, is suspended or was removed.
    SeatNotActive,
    /// Not the seat's signature over the covered transitions.
    WrongSignature
}

/// @notice Why a log head was not anchored.
enum HeadRefusal {
    None,
    /// Not below 2^48, so that a seat cannot lock itself out.
    SizeTooLarge,
    /// The seat does not exist, is suspended or was removed.
    SeatNotActive,
    /// Not the seat's signature over the new head.
    WrongSignature,
    /// Not larger than the anchored head: somebody else has already anchored as much.
    Stale,
    /// The old head given is not the anchored one.
    NotFromAnchored,
    /// The proof does not lead from the old root to the new one.
    Inconsistent
}
