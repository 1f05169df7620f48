// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import { MessageHashUtils } from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";

import { Hashing } from "../../../contracts/libraries/Hashing.sol";
import { SeatSignature } from "../../../contracts/libraries/SeatSignature.sol";
import { Transition } from "../../../contracts/types/Batches.sol";
import { CaseId, Step } from "../../../contracts/types/Cases.sol";
import { Binding } from "../../../contracts/types/Scenarios.sol";

/// @notice Digests as Solidity computes them, for any domain: the contracts themselves know only their own.
/// @dev The type hashes are written out once more; tests compare the text with that of the contracts.
contract Statements {
    using SeatSignature for bytes;

    struct Domain {
        uint256 chainId;
        address verifyingContract;
    }

    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant ADMISSION_TYPEHASH = keccak256("Admission(uint8 seat,address signer,bytes32 keysetHash)");
    bytes32 private constant ROTATION_TYPEHASH =
        keccak256("Rotation(uint8 seat,address signer,bytes32 keysetHash,uint64 fromBlock,uint32 change)");
    bytes32 private constant RECOVERY_TYPEHASH =
        keccak256("Recovery(uint8 seat,address signer,bytes32 keysetHash,uint32 change)");
    bytes32 private constant SUCCESSION_TYPEHASH =
        keccak256("Succession(uint8 seat,address signer,bytes32 keysetHash,uint32 change)");
    bytes32 private constant VETO_TYPEHASH = keccak256("Veto(uint8 seat,uint32 change)");
    bytes32 private constant PUBLICATION_TYPEHASH =
        keccak256("Publication(string scenario,bytes32 version,bytes32 texts,uint8 publisher)");
    bytes32 private constant TEXTS_TYPEHASH =
        keccak256("Texts(bytes32 version,bytes32 texts,uint32 revision,uint8 publisher)");
    bytes32 private constant BINDING_TYPEHASH = keccak256(
        "Binding(bytes32 version,uint32 region,uint8 identity,uint8 operator,uint8[] approvers,uint8[] providers,uint64 validUntil)"
    );
    bytes32 private constant RETIREMENT_TYPEHASH = keccak256("Retirement(uint40 binding,uint8 seat)");
    bytes32 private constant TRANSITION_TYPEHASH =
        keccak256("Transition(bytes32 caseId,bytes32 dossierRoot,uint64 step)");
    bytes32 private constant SHEET_TYPEHASH = keccak256(
        "Sheet(uint8 seat,uint64 validUntil,Transition[] transitions)Transition(bytes32 caseId,bytes32 dossierRoot,uint64 step)"
    );
    bytes32 private constant HEAD_TYPEHASH = keccak256("Head(uint8 seat,uint64 size,bytes32 root)");

    function admission(Domain calldata domain, uint8 seat, address signer, bytes32 keysetHash)
        external
        pure
        returns (bytes32)
    {
        return _digest(domain, abi.encode(ADMISSION_TYPEHASH, seat, signer, keysetHash));
    }

    function rotation(
        Domain calldata domain,
        uint8 seat,
        address signer,
        bytes32 keysetHash,
        uint64 fromBlock,
        uint32 change
    ) external pure returns (bytes32) {
        return _digest(domain, abi.encode(ROTATION_TYPEHASH, seat, signer, keysetHash, fromBlock, change));
    }

    function recovery(Domain calldata domain, uint8 seat, address signer, bytes32 keysetHash, uint32 change)
        external
        pure
        returns (bytes32)
    {
        return _digest(domain, abi.encode(RECOVERY_TYPEHASH, seat, signer, keysetHash, change));
    }

    function succession(Domain calldata domain, uint8 seat, address signer, bytes32 keysetHash, uint32 change)
        external
        pure
        returns (bytes32)
    {
        return _digest(domain, abi.encode(SUCCESSION_TYPEHASH, seat, signer, keysetHash, change));
    }

    function veto(Domain calldata domain, uint8 seat, uint32 change) external pure returns (bytes32) {
        return _digest(domain, abi.encode(VETO_TYPEHASH, seat, change));
    }

    function publication(
        Domain calldata domain,
        string calldata scenario,
        bytes32 version,
        bytes32 texts_,
        uint8 publisher
    ) external pure returns (bytes32) {
        bytes32 name = keccak256(bytes(scenario));
        return _digest(domain, abi.encode(PUBLICATION_TYPEHASH, name, version, texts_, publisher));
    }

    function texts(Domain calldata domain, bytes32 version, bytes32 texts_, uint32 revision, uint8 publisher)
        external
        pure
        returns (bytes32)
    {
        return _digest(domain, abi.encode(TEXTS_TYPEHASH, version, texts_, revision, publisher));
    }

    function binding(Domain calldata domain, Binding calldata one) external pure returns (bytes32) {
        bytes32 approvers = keccak256(abi.encodePacked(one.approvers));
        bytes32 providers = keccak256(abi.encodePacked(one.providers));
        return _digest(
            domain,
            abi.encode(
                BINDING_TYPEHASH,
                one.version,
                one.region,
                one.identity,
                one.operator,
                approvers,
                providers,
                one.validUntil
            )
        );
    }

    function retirement(Domain calldata domain, uint40 number, uint8 seat) external pure returns (bytes32) {
        return _digest(domain, abi.encode(RETIREMENT_TYPEHASH, number, seat));
    }

    function head(Domain calldata domain, uint8 seat, uint64 size, bytes32 root) external pure returns (bytes32) {
        return _digest(domain, abi.encode(HEAD_TYPEHASH, seat, size, root));
    }

    /// @dev Over the members' hashes as the ledger joins them, a bitmap choosing all.
    function sheet(Domain calldata domain, uint8 seat, uint64 validUntil, Transition[] calldata transitions)
        external
        pure
        returns (bytes32)
    {
        bytes32[] memory hashes = new bytes32[](transitions.length);
        for (uint256 i; i < transitions.length; ++i) {
            Transition calldata one = transitions[i];
            hashes[i] = Hashing.keccak4(
                TRANSITION_TYPEHASH, CaseId.unwrap(one.caseId), one.dossierRoot, Step.unwrap(one.step)
            );
        }
        bytes32 list = Hashing.keccakOf(hashes, type(uint256).max >> (256 - hashes.length));
        return _digest(domain, abi.encode(SHEET_TYPEHASH, seat, validUntil, list));
    }

    function separator(Domain calldata domain) public pure returns (bytes32) {
        return keccak256(
            abi.encode(DOMAIN_TYPEHASH, keccak256("Lianban"), keccak256("1"), domain.chainId, domain.verifyingContract)
        );
    }

    function isBy(bytes calldata signature, address signer, bytes32 digest) external pure returns (bool) {
        return signature.isBy(signer, digest);
    }

    /// @dev What stands off chain, from the bytes that are hashed.
    function tagged(string calldata tag, bytes32[] calldata parts) public pure returns (bytes32) {
        return keccak256(abi.encodePacked(keccak256(bytes(tag)), parts));
    }

    function caseId(string calldata mandate) external pure returns (bytes32) {
        return keccak256(abi.encode(keccak256("lianban.case.v1"), sha256(bytes(mandate))));
    }

    function question(bytes32 mandate, string calldata item, uint256 index, string calldata purpose)
        external
        pure
        returns (bytes32)
    {
        return keccak256(
            abi.encode(keccak256("lianban.question.v1"), mandate, sha256(bytes(item)), index, sha256(bytes(purpose)))
        );
    }

    function subject(bytes32 salt, string calldata kind, string calldata id) external pure returns (bytes32) {
        return sha256(abi.encodePacked("lianban.subject.v1", uint8(0), salt, kind, uint8(0), id));
    }

    function object(bytes32 salt, bytes calldata json) external pure returns (bytes32) {
        return sha256(abi.encodePacked("lianban.object.v1", uint8(0), salt, json));
    }

    function logLeaf(bytes calldata entry) external pure returns (bytes32) {
        return sha256(abi.encodePacked(uint8(0), entry));
    }

    function sha256Of(bytes calldata data) external pure returns (bytes32) {
        return sha256(data);
    }

    function keccakOf(bytes calldata data) external pure returns (bytes32) {
        return keccak256(data);
    }

    function _digest(Domain calldata domain, bytes memory struct_) private pure returns (bytes32) {
        return MessageHashUtils.toTypedDataHash(separator(domain), keccak256(struct_));
    }
}
