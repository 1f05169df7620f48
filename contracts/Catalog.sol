// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import { EIP712 } from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

import { ICatalog } from "./interfaces/ICatalog.sol";
import { IConsortium } from "./interfaces/IConsortium.sol";
import { SeatSet } from "./libraries/SeatSet.sol";
import { SeatSignature } from "./libraries/SeatSignature.sol";
import { Binding, PublishedVersion } from "./types/Scenarios.sol";

/// @notice Implements {ICatalog}, where everything is described.
contract Catalog is ICatalog, EIP712 {
    using SeatSet for uint256;
    using SeatSet for uint8[];
    using SeatSignature for bytes;

    /// @dev What the ledger reads of a binding, in one slot beside the approvers' bitmap.
    struct Terms {
        uint256 approvers;
        uint8 lead;
        bool live;
    }

    bytes32 private constant PUBLICATION_TYPEHASH =
        keccak256("Publication(string scenario,bytes32 version,bytes32 texts,uint8 publisher)");
    bytes32 private constant TEXTS_TYPEHASH =
        keccak256("Texts(bytes32 version,bytes32 texts,uint32 revision,uint8 publisher)");
    bytes32 private constant BINDING_TYPEHASH = keccak256(
        "Binding(bytes32 version,uint32 region,uint8 identity,uint8 operator,uint8[] approvers,uint8[] providers,uint64 validUntil)"
    );
    bytes32 private constant RETIREMENT_TYPEHASH = keccak256("Retirement(uint40 binding,uint8 seat)");

    IConsortium public immutable consortium;

    /// @inheritdoc ICatalog
    uint40 public bindingCount;

    mapping(bytes32 version => PublishedVersion) private _versions;
    mapping(uint40 number => Binding) private _bindings;
    mapping(uint40 number => Terms) private _terms;
    mapping(bytes32 structHash => bool) private _bound;

    constructor(IConsortium consortium_) EIP712("Lianban", "1") {
        consortium = consortium_;
    }

    /// @inheritdoc ICatalog
    function publish(
        string calldata scenario,
        bytes32 version,
        bytes32 texts,
        uint8 publisher,
        bytes calldata signature
    ) external {
        if (bytes(_versions[version].scenario).length != 0) {
            revert Catalog_AlreadyPublished(version);
        }
        if (bytes(scenario).length == 0) revert Catalog_EmptyScenario();
        bytes32 name = keccak256(bytes(scenario));
        _requireSignature(
            publisher, keccak256(abi.encode(PUBLICATION_TYPEHASH, name, version, texts, publisher)), signature
        );

        _versions[version] = PublishedVersion(scenario, texts, 0, publisher);

        emit VersionPublished(version, scenario, texts, publisher);
    }

    /// @inheritdoc ICatalog
    function amendTexts(bytes32 version, bytes32 texts, uint32 revision, bytes calldata signature) external {
        PublishedVersion storage published = _versions[version];
        uint8 publisher = published.publisher;
        if (bytes(published.scenario).length == 0) revert Catalog_UnknownVersion(version);
        if (revision != published.revision + 1) {
            revert Catalog_WrongRevision(version, published.revision + 1, revision);
        }
        _requireSignature(
            publisher, keccak256(abi.encode(TEXTS_TYPEHASH, version, texts, revision, publisher)), signature
        );

        published.texts = texts;
        published.revision = revision;

        emit TextsAmended(version, texts, revision);
    }

    /// @inheritdoc ICatalog
    function bind(Binding calldata binding, bytes[] calldata signatures) external returns (uint40 number) {
        bytes32 structHash = _structHash(binding);
        // slither-disable-next-line timestamp -- validities are days, a validator's few seconds change nothing
        if (block.timestamp > binding.validUntil) revert Catalog_Expired(binding.validUntil);
        if (_bound[structHash]) revert Catalog_AlreadyBound(binding.version, binding.region);
        if (bytes(_versions[binding.version].scenario).length == 0) revert Catalog_UnknownVersion(binding.version);
        if (binding.identity == binding.operator) revert Catalog_IdentityIsOperator(binding.identity);
        if (binding.approvers.length == 0) revert Catalog_NoApprovers();
        uint256 approvers = _distinct(binding.approvers);
        _requireSignatures(_named(binding), structHash, signatures);

        number = ++bindingCount;
        _bound[structHash] = true;
        _bindings[number] = binding;
        _terms[number] = Terms({ approvers: approvers, lead: binding.approvers[0], live: true });

        emit BindingMade(number, binding.version, binding.region);
    }

    /// @inheritdoc ICatalog
    function retire(uint40 number, uint8 seat, bytes calldata signature) external {
        Terms storage terms = _terms[number];
        if (terms.approvers == 0) revert Catalog_UnknownBinding(number);
        if (!terms.live) revert Catalog_AlreadyRetired(number);
        if (!_named(_bindings[number]).has(seat)) revert Catalog_SeatNotNamed(number, seat);
        _requireSignature(seat, keccak256(abi.encode(RETIREMENT_TYPEHASH, number, seat)), signature);

        terms.live = false;

        emit BindingRetired(number, seat);
    }

    /// @inheritdoc ICatalog
    function bindingOf(uint40 number) external view returns (Binding memory binding, bool live) {
        return (_bindings[number], _terms[number].live);
    }

    /// @inheritdoc ICatalog
    function versionOf(bytes32 version) external view returns (PublishedVersion memory) {
        return _versions[version];
    }

    /// @inheritdoc ICatalog
    function termsOf(uint40 number) external view returns (uint256 approvers, uint8 lead, bool known, bool live) {
        Terms storage terms = _terms[number];
        approvers = terms.approvers;
        return (approvers, terms.lead, approvers != 0, terms.live);
    }

    function _requireSignatures(uint256 seats, bytes32 structHash, bytes[] calldata signatures) private view {
        uint256 expected = seats.count();
        if (signatures.length != expected) revert Catalog_WrongSignatureCount(expected, signatures.length);
        for (uint256 i; i < expected; (++i, seats = seats.rest())) {
            // forge-lint: disable-next-line(unsafe-typecast) -- the lowest of 256 bits
            _requireSignature(uint8(seats.lowest()), structHash, signatures[i]);
        }
    }

    function _requireSignature(uint8 seat, bytes32 structHash, bytes calldata signature) private view {
        // slither-disable-next-line calls-loop -- our own contract, fixed at deployment; one call for each signature
        address signer = consortium.signerOf(seat);
        if (signer == address(0)) revert Catalog_SeatNotActive(seat);
        if (!signature.isBy(signer, _hashTypedDataV4(structHash))) revert Catalog_WrongSignature(seat);
    }

    function _distinct(uint8[] calldata approvers) private pure returns (uint256 seats) {
        for (uint256 i; i < approvers.length; ++i) {
            if (seats.has(approvers[i])) revert Catalog_ApproverTwice(approvers[i]);
            seats = seats.with(approvers[i]);
        }
    }

    function _named(Binding memory binding) private pure returns (uint256 seats) {
        seats = binding.approvers.union() | binding.providers.union();
        return seats.with(binding.identity).with(binding.operator);
    }

    /// @dev EIP-712: an array counts as the hash of its members, each widened to a word, as `encodePacked` does in arrays.
    function _structHash(Binding calldata binding) private pure returns (bytes32) {
        return keccak256(
            abi.encode(
                BINDING_TYPEHASH,
                binding.version,
                binding.region,
                binding.identity,
                binding.operator,
                keccak256(abi.encodePacked(binding.approvers)),
                keccak256(abi.encodePacked(binding.providers)),
                binding.validUntil
            )
        );
    }
}
