// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import { Ownable } from "@openzeppelin/contracts/access/Ownable.sol";
import { Ownable2Step } from "@openzeppelin/contracts/access/Ownable2Step.sol";
import { EIP712 } from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import { IConsortium } from "./interfaces/IConsortium.sol";
import { SeatSignature } from "./libraries/SeatSignature.sol";
import { KeyRecord, Origin, SeatRecord, Standing, StandingRecord } from "./types/Seats.sol";

/// @notice Implements {IConsortium}, where everything is described.
contract Consortium is IConsortium, Ownable2Step, EIP712 {
    using SafeCast for uint256;
    using SeatSignature for bytes;

    bytes32 private constant ADMISSION_TYPEHASH = keccak256("Admission(uint8 seat,address signer,bytes32 keysetHash)");
    bytes32 private constant ROTATION_TYPEHASH =
        keccak256("Rotation(uint8 seat,address signer,bytes32 keysetHash,uint64 fromBlock,uint32 change)");
    bytes32 private constant RECOVERY_TYPEHASH =
        keccak256("Recovery(uint8 seat,address signer,bytes32 keysetHash,uint32 change)");
    bytes32 private constant SUCCESSION_TYPEHASH =
        keccak256("Succession(uint8 seat,address signer,bytes32 keysetHash,uint32 change)");
    bytes32 private constant VETO_TYPEHASH = keccak256("Veto(uint8 seat,uint32 change)");

    /// @inheritdoc IConsortium
    uint32 public immutable vetoBlocks;

    /// @inheritdoc IConsortium
    mapping(uint8 seat => uint32) public changeCount;

    /// @dev Ascending by block; only the last may be still to come.
    mapping(uint8 seat => KeyRecord[]) private _keys;
    mapping(uint8 seat => StandingRecord[]) private _standings;
    mapping(address signer => bool) private _used;

    /// @param council The owner: an account on a devnet, a multisig elsewhere.
    /// @param vetoBlocks_ For how many blocks a council's change of keys waits.
    constructor(address council, uint32 vetoBlocks_) Ownable(council) EIP712("Lianban", "1") {
        if (vetoBlocks_ == 0) revert Consortium_NoVetoBlocks();
        vetoBlocks = vetoBlocks_;
    }

    /// @inheritdoc IConsortium
    function admit(uint8 seat, address signer, bytes calldata keyset, bytes calldata signature) external onlyOwner {
        bytes32 keysetHash = keccak256(keyset);
        if (_keys[seat].length != 0) revert Consortium_SeatTaken(seat);
        if (_used[signer]) revert Consortium_SignerUsed(signer);
        if (keyset.length == 0) revert Consortium_EmptyKeyset(seat);
        _requireSignature(seat, signer, keccak256(abi.encode(ADMISSION_TYPEHASH, seat, signer, keysetHash)), signature);

        _used[signer] = true;
        _keys[seat].push(KeyRecord(_now(), signer, Origin.Admission, keysetHash));
        _standings[seat].push(StandingRecord(_now(), Standing.Active));

        emit SeatAdmitted(seat, signer, keysetHash, keyset);
    }

    /// @inheritdoc IConsortium
    function rotate(
        uint8 seat,
        address signer,
        bytes calldata keyset,
        uint64 fromBlock,
        bytes calldata oldSignature,
        bytes calldata newSignature
    ) external {
        SeatRecord memory present = seatOf(seat);
        (uint256 earliest, uint256 latest) = (block.number + 1, block.number + vetoBlocks);
        if (present.standing != Standing.Active) revert Consortium_WrongStanding(seat, present.standing);
        _requireChangeable(seat, keyset);
        if (signer != present.signer && _used[signer]) revert Consortium_SignerUsed(signer);
        if (fromBlock < earliest || fromBlock > latest) {
            revert Consortium_WrongBlock(seat, fromBlock, earliest, latest);
        }
        bytes32 structHash = keccak256(
            abi.encode(ROTATION_TYPEHASH, seat, signer, keccak256(keyset), fromBlock, changeCount[seat] + 1)
        );
        _requireSignature(seat, present.signer, structHash, oldSignature);
        _requireSignature(seat, signer, structHash, newSignature);

        _announce(seat, Origin.Rotation, fromBlock, signer, keyset);
    }

    /// @inheritdoc IConsortium
    function recover(uint8 seat, address signer, bytes calldata keyset, bytes calldata signature) external onlyOwner {
        _replace(seat, Origin.Recovery, RECOVERY_TYPEHASH, signer, keyset, signature);
    }

    /// @inheritdoc IConsortium
    function succeed(uint8 seat, address signer, bytes calldata keyset, bytes calldata signature) external onlyOwner {
        _replace(seat, Origin.Succession, SUCCESSION_TYPEHASH, signer, keyset, signature);
    }

    /// @inheritdoc IConsortium
    function veto(uint8 seat, uint32 change, bytes calldata signature) external {
        SeatRecord memory present = seatOf(seat);
        _requireAnnounced(seat, change);
        _requireNotRemoved(seat, present.standing);
        _requireSignature(seat, present.signer, keccak256(abi.encode(VETO_TYPEHASH, seat, change)), signature);

        _keys[seat].pop();

        emit KeysVetoed(seat, change);
    }

    /// @inheritdoc IConsortium
    function cancel(uint8 seat, uint32 change) external onlyOwner {
        KeyRecord memory announced = _requireAnnounced(seat, change);
        if (announced.origin == Origin.Rotation) revert Consortium_NotTheCouncils(seat, change);

        _keys[seat].pop();

        emit KeysCancelled(seat, change);
    }

    /// @inheritdoc IConsortium
    function suspend(uint8 seat) external onlyOwner {
        Standing standing = standingAt(seat, block.number);
        if (standing != Standing.Active) revert Consortium_WrongStanding(seat, standing);

        _standings[seat].push(StandingRecord(_now(), Standing.Suspended));

        emit SeatSuspended(seat);
    }

    /// @inheritdoc IConsortium
    function reinstate(uint8 seat) external onlyOwner {
        Standing standing = standingAt(seat, block.number);
        if (standing != Standing.Suspended) revert Consortium_WrongStanding(seat, standing);

        _standings[seat].push(StandingRecord(_now(), Standing.Active));

        emit SeatReinstated(seat);
    }

    /// @inheritdoc IConsortium
    function remove(uint8 seat) external onlyOwner {
        _requireNotRemoved(seat, standingAt(seat, block.number));

        _standings[seat].push(StandingRecord(_now(), Standing.Removed));

        emit SeatRemoved(seat);
    }

    /// @notice Always refused: without a council no seat could ever be suspended again.
    function renounceOwnership() public view override onlyOwner {
        revert Consortium_CouncilNeeded();
    }

    /// @inheritdoc IConsortium
    function seatOf(uint8 seat) public view returns (SeatRecord memory) {
        KeyRecord memory keys = _keysAt(seat, block.number);
        return SeatRecord(keys.signer, standingAt(seat, block.number), keys.keysetHash);
    }

    /// @inheritdoc IConsortium
    function signerOf(uint8 seat) external view returns (address) {
        return signerAt(seat, block.number);
    }

    /// @inheritdoc IConsortium
    function keysetHashOf(uint8 seat) external view returns (bytes32) {
        return keysetHashAt(seat, block.number);
    }

    /// @inheritdoc IConsortium
    function signerAt(uint8 seat, uint256 blockNumber) public view returns (address) {
        if (standingAt(seat, blockNumber) != Standing.Active) return address(0);
        return _keys[seat][_keyCountAt(seat, blockNumber) - 1].signer;
    }

    /// @inheritdoc IConsortium
    function keysetHashAt(uint8 seat, uint256 blockNumber) public view returns (bytes32) {
        return _keysAt(seat, blockNumber).keysetHash;
    }

    /// @inheritdoc IConsortium
    function standingAt(uint8 seat, uint256 blockNumber) public view returns (Standing) {
        StandingRecord[] storage standings = _standings[seat];
        for (uint256 i = standings.length; i != 0; --i) {
            if (standings[i - 1].fromBlock <= blockNumber) return standings[i - 1].standing;
        }
        return Standing.None;
    }

    /// @inheritdoc IConsortium
    function announcedOf(uint8 seat) public view returns (uint32 change, KeyRecord memory record) {
        uint256 count = _keys[seat].length;
        if (count == 0 || _keys[seat][count - 1].fromBlock <= block.number) return (change, record);
        return (changeCount[seat], _keys[seat][count - 1]);
    }

    /// @inheritdoc IConsortium
    function keysOf(uint8 seat) external view returns (KeyRecord[] memory) {
        return _keys[seat];
    }

    /// @inheritdoc IConsortium
    function standingsOf(uint8 seat) external view returns (StandingRecord[] memory) {
        return _standings[seat];
    }

    /// @dev A council's change of keys.
    function _replace(
        uint8 seat,
        Origin origin,
        bytes32 typeHash,
        address signer,
        bytes calldata keyset,
        bytes calldata signature
    ) private {
        _requireNotRemoved(seat, standingAt(seat, block.number));
        _requireChangeable(seat, keyset);
        if (_used[signer]) revert Consortium_SignerUsed(signer);
        bytes32 structHash = keccak256(abi.encode(typeHash, seat, signer, keccak256(keyset), changeCount[seat] + 1));
        _requireSignature(seat, signer, structHash, signature);

        _announce(seat, origin, _now() + vetoBlocks, signer, keyset);
    }

    function _announce(uint8 seat, Origin origin, uint64 fromBlock, address signer, bytes calldata keyset) private {
        bytes32 keysetHash = keccak256(keyset);
        uint32 change = ++changeCount[seat];
        _used[signer] = true;
        _keys[seat].push(KeyRecord(fromBlock, signer, origin, keysetHash));

        emit KeysAnnounced(seat, change, origin, fromBlock, signer, keysetHash, keyset);
    }

    function _keysAt(uint8 seat, uint256 blockNumber) private view returns (KeyRecord memory record) {
        uint256 count = _keyCountAt(seat, blockNumber);
        if (count != 0) record = _keys[seat][count - 1];
    }

    /// @dev How many of the records had begun by the end of a block: nearly always all, or all but the one still to come.
    function _keyCountAt(uint8 seat, uint256 blockNumber) private view returns (uint256 count) {
        KeyRecord[] storage keys = _keys[seat];
        count = keys.length;
        while (count != 0 && keys[count - 1].fromBlock > blockNumber) --count;
    }

    function _requireChangeable(uint8 seat, bytes calldata keyset) private view {
        (uint32 pending, KeyRecord memory announced) = announcedOf(seat);
        if (pending != 0) revert Consortium_ChangePending(seat, pending, announced.fromBlock);
        if (keyset.length == 0) revert Consortium_EmptyKeyset(seat);
    }

    function _requireAnnounced(uint8 seat, uint32 change) private view returns (KeyRecord memory announced) {
        uint32 pending;
        (pending, announced) = announcedOf(seat);
        if (pending == 0 || change != pending) revert Consortium_NoSuchChange(seat, change);
    }

    function _requireNotRemoved(uint8 seat, Standing standing) private pure {
        if (standing != Standing.Active && standing != Standing.Suspended) {
            revert Consortium_WrongStanding(seat, standing);
        }
    }

    function _requireSignature(uint8 seat, address signer, bytes32 structHash, bytes calldata signature) private view {
        if (!signature.isBy(signer, _hashTypedDataV4(structHash))) revert Consortium_WrongSignature(seat, signer);
    }

    function _now() private view returns (uint64) {
        return block.number.toUint64();
    }
}
