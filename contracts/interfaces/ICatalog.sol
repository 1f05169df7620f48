// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import { Binding, PublishedVersion } from "../types/Scenarios.sol";

/// @title Which scenario versions exist and which seats handle them where
/// @notice A version is published by a seat and put to work in a region by a binding that every named seat has signed.
/// @dev Anyone may send; the seats' signatures are what counts. Versions and bindings never change; a binding can only be
///      retired, which closes it to new cases. What is not promised: that the hashes are those of any document, and that a
///      binding names as many seats as the definition has roles; a seat checks both before it signs.
///
///      EIP-712 domain `{name: "Lianban", version: "1", chainId, verifyingContract}`; types
///      `Publication(string scenario,bytes32 version,bytes32 texts,uint8 publisher)`,
///      `Texts(bytes32 version,bytes32 texts,uint32 revision,uint8 publisher)`,
///      `Binding(bytes32 version,uint32 region,uint8 identity,uint8 operator,uint8[] approvers,uint8[] providers,uint64 validUntil)`
///      and `Retirement(uint40 binding,uint8 seat)`.
interface ICatalog {
    event VersionPublished(bytes32 indexed version, string scenario, bytes32 texts, uint8 publisher);
    event TextsAmended(bytes32 indexed version, bytes32 texts, uint32 revision);
    event BindingMade(uint40 indexed number, bytes32 indexed version, uint32 indexed region);
    event BindingRetired(uint40 indexed number, uint8 seat);

    /// @notice The version was published before.
    error Catalog_AlreadyPublished(bytes32 version);
    /// @notice A scenario has a name.
    error Catalog_EmptyScenario();
    /// @notice Nobody published the version.
    error Catalog_UnknownVersion(bytes32 version);
    /// @notice Texts are amended in order.
    error Catalog_WrongRevision(bytes32 version, uint32 expected, uint32 given);
    /// @notice The seat does not exist, is suspended or was removed.
    error Catalog_SeatNotActive(uint8 seat);
    /// @notice The seat's signature over this is missing.
    error Catalog_WrongSignature(uint8 seat);
    /// @notice Who signs mandates does not handle the cases.
    error Catalog_IdentityIsOperator(uint8 seat);
    /// @notice A binding has at least one approver, who leads.
    error Catalog_NoApprovers();
    /// @notice No seat approves twice.
    error Catalog_ApproverTwice(uint8 seat);
    /// @notice The binding's signatures counted until then.
    error Catalog_Expired(uint64 validUntil);
    /// @notice The very same binding was made before.
    error Catalog_AlreadyBound(bytes32 version, uint32 region);
    /// @notice One signature for each distinct seat that the binding names.
    error Catalog_WrongSignatureCount(uint256 expected, uint256 given);
    /// @notice There is no binding of that number.
    error Catalog_UnknownBinding(uint40 number);
    /// @notice The binding was retired before.
    error Catalog_AlreadyRetired(uint40 number);
    /// @notice The binding does not name the seat.
    error Catalog_SeatNotNamed(uint40 number, uint8 seat);

    /// @notice Publishes a scenario version, once.
    /// @param version SHA-256 of the canonical JSON of the definition.
    /// @param texts SHA-256 of the canonical JSON of the texts, which may be amended.
    /// @param signature `Publication` by the publisher.
    function publish(
        string calldata scenario,
        bytes32 version,
        bytes32 texts,
        uint8 publisher,
        bytes calldata signature
    ) external;

    /// @notice Replaces a version's texts.
    /// @param revision One more than the present revision.
    /// @param signature `Texts` by the version's publisher.
    function amendTexts(bytes32 version, bytes32 texts, uint32 revision, bytes calldata signature) external;

    /// @notice Puts a version to work in a region.
    /// @param signatures `Binding` by every distinct seat that the binding names, in ascending order of the seats.
    /// @return number The binding's number, counted from 1.
    function bind(Binding calldata binding, bytes[] calldata signatures) external returns (uint40 number);

    /// @notice Closes a binding to new cases; running cases go on.
    /// @dev Signatures that the seats gave for another binding like it, and that are still valid, are not taken back by this:
    ///      a seat gives them for a short time (`validUntil`).
    /// @param seat Any active seat that the binding names.
    /// @param signature `Retirement` by that seat.
    function retire(uint40 number, uint8 seat, bytes calldata signature) external;

    /// @notice The binding and whether it takes new cases; all zero and false for an unknown number.
    function bindingOf(uint40 number) external view returns (Binding memory binding, bool live);

    /// @notice How many bindings were made; the last one has this number.
    function bindingCount() external view returns (uint40);

    /// @notice The published version; all zero (an empty scenario) when nobody published it.
    function versionOf(bytes32 version) external view returns (PublishedVersion memory);

    /// @notice What the ledger needs of a binding.
    /// @return approvers Bitmap of the approvers' seats.
    /// @return lead The first approver.
    /// @return known Whether there is a binding of that number.
    /// @return live Whether it takes new cases.
    function termsOf(uint40 number) external view returns (uint256 approvers, uint8 lead, bool known, bool live);
}
