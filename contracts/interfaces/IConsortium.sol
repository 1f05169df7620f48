// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import { KeyRecord, Origin, SeatRecord, Standing, StandingRecord } from "../types/Seats.sol";

/// @title The seats of a consortium
/// @notice Who sits where, with which chain key and which keyset document, now and in the past.
/// @dev The owner is the council: it admits, suspends, reinstates and removes, but every key is the department's own and
///      answers by its signature. New keys take the old key's signature, or the council's word and a delay of `vetoBlocks`
///      in which the seat can refuse them; either way they are announced before they come into force. So the council can
///      silence a department and cannot speak for one that watches its seat.
///
///      What is not promised: that a seat's owner is the department that its document names (the council vouches for
///      that), that a leaked key is noticed, and that a thief who holds a seat's key loses a race against its owner: either
///      can veto what the other gets the council to announce, until the council removes the seat.
///
///      Seat numbers are never given again, and an address that has served a seat, or was announced for one, never serves
///      another one, nor the same one again once replaced.
///
///      EIP-712 domain `{name: "Lianban", version: "1", chainId, verifyingContract}`; types
///      `Admission(uint8 seat,address signer,bytes32 keysetHash)`,
///      `Rotation(uint8 seat,address signer,bytes32 keysetHash,uint64 fromBlock,uint32 change)`,
///      `Recovery(uint8 seat,address signer,bytes32 keysetHash,uint32 change)`,
///      `Succession(uint8 seat,address signer,bytes32 keysetHash,uint32 change)` and `Veto(uint8 seat,uint32 change)`.
///      `change` numbers a seat's announcements from 1 and is never used twice, so that no signature counts twice.
interface IConsortium {
    /// @param keyset Canonical JSON of the keyset document; `keysetHash` is its keccak-256.
    event SeatAdmitted(uint8 indexed seat, address signer, bytes32 keysetHash, bytes keyset);
    /// @notice These keys come into force in block `fromBlock`, unless the change is vetoed or cancelled before.
    event KeysAnnounced(
        uint8 indexed seat,
        uint32 change,
        Origin origin,
        uint64 fromBlock,
        address signer,
        bytes32 keysetHash,
        bytes keyset
    );
    event KeysVetoed(uint8 indexed seat, uint32 change);
    event KeysCancelled(uint8 indexed seat, uint32 change);
    event SeatSuspended(uint8 indexed seat);
    event SeatReinstated(uint8 indexed seat);
    event SeatRemoved(uint8 indexed seat);

    /// @notice The number was given before, be it to a seat that was removed since.
    error Consortium_SeatTaken(uint8 seat);
    /// @notice The seat's standing does not allow this.
    error Consortium_WrongStanding(uint8 seat, Standing standing);
    /// @notice The address serves a seat, once served one or was announced for one.
    error Consortium_SignerUsed(address signer);
    /// @notice A signature is missing that the given key would have made.
    error Consortium_WrongSignature(uint8 seat, address signer);
    /// @notice A keyset document cannot be empty.
    error Consortium_EmptyKeyset(uint8 seat);
    /// @notice Another change of the seat's keys is announced and still to come.
    error Consortium_ChangePending(uint8 seat, uint32 change, uint64 fromBlock);
    /// @notice No change of that number is still to come.
    error Consortium_NoSuchChange(uint8 seat, uint32 change);
    /// @notice A rotation comes into force in a later block, and no later than a council's change would.
    error Consortium_WrongBlock(uint8 seat, uint64 fromBlock, uint256 earliest, uint256 latest);
    /// @notice The change is the seat's own.
    error Consortium_NotTheCouncils(uint8 seat, uint32 change);
    /// @notice The council hands over and does not resign.
    error Consortium_CouncilNeeded();
    /// @notice A seat needs at least one block to veto in.
    error Consortium_NoVetoBlocks();

    /// @notice Gives a new seat its number. Only the council; the seat agrees by its signature.
    /// @param signer The seat's chain key.
    /// @param keyset Canonical JSON of the seat's keyset document.
    /// @param signature `Admission` by `signer`.
    function admit(uint8 seat, address signer, bytes calldata keyset, bytes calldata signature) external;

    /// @notice Announces new keys of an active seat. Sent by anyone; the old and the new chain key agree by their signatures.
    /// @param signer The new chain key, or the present one when only the keyset document changes.
    /// @param keyset Canonical JSON of the whole new keyset document.
    /// @param fromBlock First block in which they are in force: after this one, at most `vetoBlocks` after.
    /// @param oldSignature `Rotation` by the present chain key, `change` being `changeCount(seat) + 1`.
    /// @param newSignature The same by `signer`.
    function rotate(
        uint8 seat,
        address signer,
        bytes calldata keyset,
        uint64 fromBlock,
        bytes calldata oldSignature,
        bytes calldata newSignature
    ) external;

    /// @notice Announces new keys of a department that lost its own, in force after `vetoBlocks`. Only the council.
    /// @dev Of an active or suspended seat, whose standing stays as it is.
    /// @param signer A chain key that never served.
    /// @param signature `Recovery` by `signer`.
    function recover(uint8 seat, address signer, bytes calldata keyset, bytes calldata signature) external;

    /// @notice Announces that another department takes over the seat, with the cases that are open under its bindings, in force
    ///         after `vetoBlocks`. Only the council.
    /// @dev Of an active or suspended seat, whose standing stays as it is.
    /// @param signer A chain key that never served.
    /// @param signature `Succession` by `signer`.
    function succeed(uint8 seat, address signer, bytes calldata keyset, bytes calldata signature) external;

    /// @notice Refuses an announced change of the seat's keys. Sent by anyone.
    /// @dev A suspended seat can veto too: a council could otherwise suspend it and then speak for it.
    /// @param signature `Veto` by the chain key in force.
    function veto(uint8 seat, uint32 change, bytes calldata signature) external;

    /// @notice Takes back a recovery or succession that is still to come. Only the council.
    function cancel(uint8 seat, uint32 change) external;

    /// @notice Stops an active seat's signatures from counting, from this transaction on. Only the council.
    function suspend(uint8 seat) external;

    /// @notice Ends a suspension. Only the council.
    function reinstate(uint8 seat) external;

    /// @notice Ends an active or suspended seat for good. Only the council. What it signed and was settled stays valid.
    function remove(uint8 seat) external;

    /// @notice The seat as it is now.
    function seatOf(uint8 seat) external view returns (SeatRecord memory);

    /// @notice The chain key in force now; zero unless the seat is active.
    function signerOf(uint8 seat) external view returns (address);

    /// @notice keccak-256 of the seat's present keyset document, whatever its standing; zero if never admitted.
    function keysetHashOf(uint8 seat) external view returns (bytes32);

    /// @notice The chain key in force at the end of a block; zero unless the seat was active then.
    /// @dev For a block that is still to come: as far as announced, with the standing of now.
    function signerAt(uint8 seat, uint256 blockNumber) external view returns (address);

    /// @notice keccak-256 of the keyset document in force in a block, whatever the standing; zero before the admission.
    function keysetHashAt(uint8 seat, uint256 blockNumber) external view returns (bytes32);

    /// @notice The seat's standing at the end of a block.
    function standingAt(uint8 seat, uint256 blockNumber) external view returns (Standing);

    /// @notice The change of the seat's keys that is still to come; all zero when there is none.
    function announcedOf(uint8 seat) external view returns (uint32 change, KeyRecord memory record);

    /// @notice How many changes of the seat's keys were announced, those vetoed or cancelled included.
    function changeCount(uint8 seat) external view returns (uint32);

    /// @notice All keys of the seat, oldest first; the last may be still to come. Vetoed and cancelled ones are not among them.
    function keysOf(uint8 seat) external view returns (KeyRecord[] memory);

    /// @notice All standings of the seat, oldest first.
    function standingsOf(uint8 seat) external view returns (StandingRecord[] memory);

    /// @notice For how many blocks a council's change of keys waits.
    function vetoBlocks() external view returns (uint32);
}
