// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import { Hashing } from "../libraries/Hashing.sol";

/// @notice A case's identity: the tagged hash of its first mandate.
type CaseId is bytes32;

/// @notice Where a case stands. `Accepted` waits for an officer, `Suspended` for a review of what it was approved on;
///         `Refused`, `Withdrawn` and `Revoked` are final.
enum Status {
    None,
    Accepted,
    Returned,
    Approved,
    Refused,
    Withdrawn,
    Revoked,
    Suspended
}

/// @notice `status << 56 | sequence << 40 | binding`: what a transition makes of a case.
/// @dev The status byte of a step that somebody hands in may be any number, hence `statusCode` beside `Status`.
type Step is uint64;

/// @notice A case's one storage slot: `step << 192 | commitment`, zero for a case that does not exist.
/// @dev The commitment rolls over every step and dossier root of the case, so that the roots need no slots of their own.
type CaseSlot is uint256;

/// @notice One thing that a case rests on, as a leaf of its dossier.
struct DossierEntry {
    /// What it is: `mandate`, `answer`, `verdict`, `credential`…
    string kind;
    /// 256 random bits, so that nobody finds the content by trying.
    bytes32 salt;
    /// SHA-256 of the content.
    bytes32 content;
}

using { statusCode, sequence, binding } for Step global;
using { step, commitment, advanced } for CaseSlot global;
using { leafOf } for DossierEntry global;

uint256 constant ACCEPTED = 1 << uint256(Status.Accepted);
uint256 constant RETURNED = 1 << uint256(Status.Returned);
uint256 constant APPROVED = 1 << uint256(Status.Approved);
uint256 constant REFUSED = 1 << uint256(Status.Refused);
uint256 constant WITHDRAWN = 1 << uint256(Status.Withdrawn);
uint256 constant REVOKED = 1 << uint256(Status.Revoked);
uint256 constant SUSPENDED = 1 << uint256(Status.Suspended);

/// @dev I2: byte `from` has a bit for each status that may follow. Nothing follows a final one.
uint256 constant MOVES = ((ACCEPTED | RETURNED | APPROVED | REFUSED | WITHDRAWN) << (8 * uint256(Status.None)))
    | ((RETURNED | APPROVED | REFUSED | WITHDRAWN) << (8 * uint256(Status.Accepted)))
    | ((ACCEPTED | APPROVED | REFUSED | WITHDRAWN) << (8 * uint256(Status.Returned)))
    | ((REVOKED | SUSPENDED) << (8 * uint256(Status.Approved)))
    | ((APPROVED | REVOKED) << (8 * uint256(Status.Suspended)));

/// @dev Whether a case may go from one status to another, by their numbers; `to` is below 8.
function follows(uint256 from, uint256 to) pure returns (bool) {
    return (MOVES >> (8 * from + to)) & 1 == 1;
}

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
    uint256 rolled = uint256(Hashing.keccak3(self.commitment(), Step.unwrap(next), dossierRoot));
    // forge-lint: disable-next-line(unsafe-typecast) -- the commitment is the low 192 bits
    return CaseSlot.wrap((uint256(Step.unwrap(next)) << 192) | uint192(rolled));
}

/// @dev Hashed twice, as OpenZeppelin's `StandardMerkleTree` does, so that no inner node passes for a leaf.
function leafOf(DossierEntry calldata entry) pure returns (bytes32) {
    return keccak256(abi.encode(keccak256(abi.encode(entry.kind, entry.salt, entry.content))));
}
