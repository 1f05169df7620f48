// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @notice Where a seat stands in the consortium. Only an `Active` seat's signatures count. `Removed` is final.
enum Standing {
    None,
    Active,
    Suspended,
    Removed
}

/// @notice One entry of a seat's history: what held from `fromBlock` on, until the next entry.
struct SeatRecord {
    /// Block of the transaction that made the entry.
    uint64 fromBlock;
    /// The seat's chain key. It counts only while `standing` is `Active`.
    address signer;
    Standing standing;
    /// keccak-256 of the seat's keyset document, whose bytes went out in `SeatAdmitted` or `SeatRotated`.
    bytes32 keysetHash;
}
