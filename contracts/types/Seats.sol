// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @notice Where a seat stands in the consortium. Only an `Active` seat's signatures count. `Removed` is final.
enum Standing {
    None,
    Active,
    Suspended,
    Removed
}

/// @notice How a seat came by its keys.
enum Origin {
    /// With the seat itself.
    Admission,
    /// From the seat's own hand: the old key agreed.
    Rotation,
    /// From the council, for a department that lost its key.
    Recovery,
    /// From the council, for another department that takes over the seat.
    Succession
}

/// @notice A seat's keys from a block on, until the next record's.
struct KeyRecord {
    /// First block in which they are in force. Still to come for a change that is announced.
    uint64 fromBlock;
    /// The chain key. It counts only while the seat is `Active`.
    address signer;
    Origin origin;
    /// keccak-256 of the keyset document, whose bytes went out in `SeatAdmitted` or `KeysAnnounced`.
    bytes32 keysetHash;
}

/// @notice A seat's standing from a block on, until the next record's. Of several in one block the last one holds at its end.
struct StandingRecord {
    /// Block of the transaction that made it so.
    uint64 fromBlock;
    Standing standing;
}

/// @notice A seat at one moment. All zero for one that was never admitted.
struct SeatRecord {
    /// The chain key, whatever the standing.
    address signer;
    Standing standing;
    /// keccak-256 of the keyset document, whatever the standing.
    bytes32 keysetHash;
}
