// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import { Ownable } from "@openzeppelin/contracts/access/Ownable.sol";
import { Ownable2Step } from "@openzeppelin/contracts/access/Ownable2Step.sol";
import { EIP712 } from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import { Checkpoints } from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";

import { IConsortium } from "./interfaces/IConsortium.sol";
import { SeatSignature } from "./libraries/SeatSignature.sol";
import { SeatRecord, Standing } from "./types/Seats.sol";

/// @notice Implements {IConsortium}, where everything is described.
contract Consortium is IConsortium, Ownable2Step, EIP712 {
    using Checkpoints for Checkpoints.Trace160;
    using SafeCast for uint256;
    using SeatSignature for bytes;

    bytes32 private constant ADMISSION_TYPEHASH = keccak256("Admission(uint8 seat,address signer,bytes32 keysetHash)");
    bytes32 private constant ROTATION_TYPEHASH =
        keccak256("Rotation(uint8 seat,address signer,bytes32 keysetHash,uint32 change)");

    mapping(uint8 seat => SeatRecord[]) private _history;
    /// @dev The key in force by block, zero while there is none: what `signerOf` and `signerAt` read.
    mapping(uint8 seat => Checkpoints.Trace160) private _signers;
    mapping(address signer => bool) private _used;

    /// @param council The owner: an account on a devnet, a multisig elsewhere.
    constructor(address council) Ownable(council) EIP712("Lianban", "1") { }

    /// @inheritdoc IConsortium
    function admit(uint8 seat, address signer, bytes calldata keyset, bytes calldata signature) external onlyOwner {
        bytes32 keysetHash = keccak256(keyset);
        bytes32 digest = _hashTypedDataV4(keccak256(abi.encode(ADMISSION_TYPEHASH, seat, signer, keysetHash)));
        if (_history[seat].length != 0) revert Consortium_SeatTaken(seat);
        if (_used[signer]) revert Consortium_SignerUsed(signer);
        if (keyset.length == 0) revert Consortium_EmptyKeyset(seat);
        if (!signature.isBy(signer, digest)) revert Consortium_WrongSignature(seat, signer);

        _used[signer] = true;
        _record(seat, signer, keysetHash, Standing.Active);

        emit SeatAdmitted(seat, signer, keysetHash, keyset);
    }

    /// @inheritdoc IConsortium
    function rotate(
        uint8 seat,
        address signer,
        bytes calldata keyset,
        bytes calldata oldSignature,
        bytes calldata newSignature
    ) external {
        SeatRecord memory present = seatOf(seat);
        bytes32 keysetHash = keccak256(keyset);
        uint32 change = _history[seat].length.toUint32();
        bytes32 digest = _hashTypedDataV4(keccak256(abi.encode(ROTATION_TYPEHASH, seat, signer, keysetHash, change)));
        if (present.standing != Standing.Active) revert Consortium_WrongStanding(seat, present.standing);
        if (signer != present.signer && _used[signer]) revert Consortium_SignerUsed(signer);
        if (keyset.length == 0) revert Consortium_EmptyKeyset(seat);
        if (!oldSignature.isBy(present.signer, digest)) revert Consortium_WrongSignature(seat, present.signer);
        if (!newSignature.isBy(signer, digest)) revert Consortium_WrongSignature(seat, signer);

        _used[signer] = true;
        _record(seat, signer, keysetHash, Standing.Active);

        emit SeatRotated(seat, signer, keysetHash, change, keyset);
    }

    /// @inheritdoc IConsortium
    function suspend(uint8 seat) external onlyOwner {
        SeatRecord memory present = seatOf(seat);
        if (present.standing != Standing.Active) revert Consortium_WrongStanding(seat, present.standing);

        _record(seat, present.signer, present.keysetHash, Standing.Suspended);

        emit SeatSuspended(seat);
    }

    /// @inheritdoc IConsortium
    function reinstate(uint8 seat) external onlyOwner {
        SeatRecord memory present = seatOf(seat);
        if (present.standing != Standing.Suspended) revert Consortium_WrongStanding(seat, present.standing);

        _record(seat, present.signer, present.keysetHash, Standing.Active);

        emit SeatReinstated(seat);
    }

    /// @inheritdoc IConsortium
    function remove(uint8 seat) external onlyOwner {
        SeatRecord memory present = seatOf(seat);
        if (present.standing != Standing.Active && present.standing != Standing.Suspended) {
            revert Consortium_WrongStanding(seat, present.standing);
        }

        _record(seat, present.signer, present.keysetHash, Standing.Removed);

        emit SeatRemoved(seat);
    }

    /// @inheritdoc IConsortium
    function seatOf(uint8 seat) public view returns (SeatRecord memory present) {
        SeatRecord[] storage history = _history[seat];
        if (history.length != 0) present = history[history.length - 1];
    }

    /// @inheritdoc IConsortium
    function signerOf(uint8 seat) external view returns (address) {
        return address(_signers[seat].latest());
    }

    /// @inheritdoc IConsortium
    function keysetHashOf(uint8 seat) external view returns (bytes32) {
        return seatOf(seat).keysetHash;
    }

    /// @inheritdoc IConsortium
    function signerAt(uint8 seat, uint256 blockNumber) external view returns (address) {
        return address(_signers[seat].upperLookupRecent(blockNumber.toUint96()));
    }

    /// @inheritdoc IConsortium
    function historyLength(uint8 seat) external view returns (uint256) {
        return _history[seat].length;
    }

    /// @inheritdoc IConsortium
    function historyAt(uint8 seat, uint256 index) external view returns (SeatRecord memory) {
        return _history[seat][index];
    }

    function _record(uint8 seat, address signer, bytes32 keysetHash, Standing standing) private {
        _history[seat].push(
            SeatRecord({
                fromBlock: block.number.toUint64(), signer: signer, standing: standing, keysetHash: keysetHash
            })
        );
        _signers[seat].push(block.number.toUint96(), standing == Standing.Active ? uint160(signer) : 0);
    }
}
