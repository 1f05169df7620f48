// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import { SeatRecord, Standing } from "../types/Seats.sol";

/// @title The seats of a consortium
/// @notice Who sits where, with which chain key and which keyset document, now and in the past.
/// @dev The owner is the council: it admits, suspends, reinstates and removes, but every key is the department's own and
///      answers by its signature. What is not promised: that a seat's owner is the department that its document names
///      (the council vouches for that), and that a leaked key is noticed.
///
///      Seat numbers are never given again, and an address that has served a seat never serves another one, nor the same one
///      again once replaced.
///
///      EIP-712 domain `{name: "Lianban", version: "1", chainId, verifyingContract}`; types
///      `Admission(uint8 seat,address signer,bytes32 keysetHash)` and
///      `Rotation(uint8 seat,address signer,bytes32 keysetHash,uint32 change)`.
interface IConsortium {
    /// @param keyset Canonical JSON of the keyset document; `keysetHash` is its keccak-256.
    event SeatAdmitted(uint8 indexed seat, address signer, bytes32 keysetHash, bytes keyset);
    /// @param change Index in the seat's history of the entry that the rotation made.
    event SeatRotated(uint8 indexed seat, address signer, bytes32 keysetHash, uint32 change, bytes keyset);
    event SeatSuspended(uint8 indexed seat);
    event SeatReinstated(uint8 indexed seat);
    event SeatRemoved(uint8 indexed seat);

    /// @notice The number was given before, be it to a seat that was removed since.
    error Consortium_SeatTaken(uint8 seat);
    /// @notice The seat's standing does not allow this.
    error Consortium_WrongStanding(uint8 seat, Standing standing);
    /// @notice The address serves, or once served, a seat.
    error Consortium_SignerUsed(address signer);
    /// @notice A signature is missing that the given key would have made.
    error Consortium_WrongSignature(uint8 seat, address signer);
    /// @notice A keyset document cannot be empty.
    error Consortium_EmptyKeyset(uint8 seat);

    /// @notice Gives a new seat its number. Only the council; the seat agrees by its signature.
    /// @param signer The seat's chain key.
    /// @param keyset Canonical JSON of the seat's keyset document.
    /// @param signature `Admission` by `signer`.
    function admit(uint8 seat, address signer, bytes calldata keyset, bytes calldata signature) external;

    /// @notice Replaces an active seat's keys. Sent by anyone; the old and the new chain key agree by their signatures.
    /// @param signer The new chain key, or the present one when only the keyset document changes.
    /// @param keyset Canonical JSON of the whole new keyset document.
    /// @param oldSignature `Rotation` by the present chain key, `change` being `historyLength(seat)`.
    /// @param newSignature The same by `signer`.
    function rotate(
        uint8 seat,
        address signer,
        bytes calldata keyset,
        bytes calldata oldSignature,
        bytes calldata newSignature
    ) external;

    /// @notice Stops an active seat's signatures from counting, from this transaction on. Only the council.
    function suspend(uint8 seat) external;

    /// @notice Ends a suspension. Only the council.
    function reinstate(uint8 seat) external;

    /// @notice Ends an active or suspended seat for good. Only the council. What it signed and was settled stays valid.
    function remove(uint8 seat) external;

    /// @notice The seat's present record; all zero for a seat that was never admitted.
    function seatOf(uint8 seat) external view returns (SeatRecord memory);

    /// @notice The chain key in force; zero unless the seat is active.
    function signerOf(uint8 seat) external view returns (address);

    /// @notice keccak-256 of the seat's present keyset document, whatever its standing; zero if never admitted.
    function keysetHashOf(uint8 seat) external view returns (bytes32);

    /// @notice The chain key in force at the end of a block; zero unless the seat was active then.
    /// @dev For a block that is still to come this is the present key, which need not be the one in force then.
    function signerAt(uint8 seat, uint256 blockNumber) external view returns (address);

    /// @notice Number of entries in the seat's history.
    function historyLength(uint8 seat) external view returns (uint256);

    /// @notice An entry of the seat's history, from 0. Panics beyond its length.
    function historyAt(uint8 seat, uint256 index) external view returns (SeatRecord memory);
}
