// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @notice A case's identity: the tagged hash of its first mandate.
type CaseId is bytes32;

/// @notice Where a case stands. `Accepted` waits for an officer; `Refused`, `Withdrawn` and `Revoked` are final.
enum Status {
    None,
    Accepted,
    Returned,
    Approved,
    Refused,
    Withdrawn,
    Revoked
}

/// @notice `status << 56 | sequence << 40 | binding`: what a transition makes of a case.
/// @dev The status byte of a step that somebody hands in may be any number, hence `statusCode` beside `Status`.
type Step is uint64;

/// @notice A case's one storage slot: `step << 192 | commitment`, zero for a case that does not exist.
/// @dev The commitment rolls over every step and dossier root of the case, so that the roots need no slots of their own.
type CaseSlot is uint256;

using { statusCode, sequence, binding } for Step global;
using { step, commitment, advanced } for CaseSlot global;

function statusCode(Step self) pure returns (uint256) {
    return Step.unwrap(self) >> 56;
}

/// @dev Counts the case's transitions, from 1.
function sequence(Step self) pure returns (uint256) {
    return uint16(Step.unwrap(self) >> 40);
}

/// @dev The number of the binding in the Catalog.
function binding(Step self) pure returns (uint40) {
    return uint40(Step.unwrap(self));
}

function step(CaseSlot self) pure returns (Step) {
    return Step.wrap(uint64(CaseSlot.unwrap(self) >> 192));
}

function commitment(CaseSlot self) pure returns (uint192) {
    return uint192(CaseSlot.unwrap(self));
}

/// @dev The slot after a transition; the only place that says how the commitment rolls.
function advanced(CaseSlot self, Step next, bytes32 dossierRoot) pure returns (CaseSlot) {
    uint256 rolled = uint256(keccak256(abi.encode(uint256(self.commitment()), uint256(Step.unwrap(next)), dossierRoot)));
    // forge-lint: disable-next-line(unsafe-typecast) -- the commitment is the low 192 bits
    return CaseSlot.wrap((uint256(Step.unwrap(next)) << 192) | uint192(rolled));
}
