// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @notice A Consortium that answers anything: with symbolic storage, any signer or none for any seat.
contract AnySigners {
    mapping(uint8 seat => address) public signerOf;
}

/// @notice A Catalog that knows any bindings but binding 0, as the real one does, which counts from 1 (`BindingCheck`). The
///         approvers are given, since the ledger goes through them one by one.
contract AnyTerms {
    uint256 public approvers;
    uint8 public lead;
    mapping(uint40 number => bool) public isKnown;
    mapping(uint40 number => bool) public isLive;

    function set(uint256 approvers_, uint8 lead_) external {
        (approvers, lead) = (approvers_, lead_);
    }

    function termsOf(uint40 number) external view returns (uint256, uint8, bool, bool) {
        return (approvers, lead, number == 0 ? false : isKnown[number], isLive[number]);
    }
}
