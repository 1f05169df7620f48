// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @notice A published scenario version. All fields are zero for a version that nobody published.
struct PublishedVersion {
    /// The scenario's name in the files, never empty.
    string scenario;
    /// SHA-256 of the canonical JSON of the texts in force.
    bytes32 texts;
    /// How often the texts were amended; 0 at publication.
    uint32 revision;
    /// The seat that published, the only one that amends the texts.
    uint8 publisher;
}

/// @notice A scenario version put to work in a region: which seats play its roles there.
struct Binding {
    /// SHA-256 of the canonical JSON of the scenario's definition.
    bytes32 version;
    /// The region's code in GB/T 2260, for instance 110108.
    uint32 region;
    /// The seat that signs mandates. Never the operator.
    uint8 identity;
    /// The seat that runs the orchestrator.
    uint8 operator;
    /// `approvers[i]` plays the definition's i-th approver role; the first leads. Distinct, at least one.
    uint8[] approvers;
    /// `providers[i]` plays the definition's i-th provider role. One seat may play several.
    uint8[] providers;
    /// Last second (Unix time) at which the seats' signatures can put the binding to work.
    uint64 validUntil;
}
