// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @notice What halmos answers at its own address: new symbols.
interface Symbols {
    function createUint256(string calldata name) external pure returns (uint256);
    function createBytes32(string calldata name) external pure returns (bytes32);
    function createBytes(uint256 size, string calldata name) external pure returns (bytes memory);
    function createAddress(string calldata name) external pure returns (address);
    function createCalldata(string calldata contractName) external pure returns (bytes memory);
    function enableSymbolicStorage(address target) external;
}

/// @notice What halmos answers at the address of Foundry's cheat codes: the world around a call.
interface World {
    function assume(bool condition) external pure;
    function prank(address sender) external;
    function roll(uint256 blockNumber) external;
    function warp(uint256 timestamp) external;
    function chainId(uint256 chain) external;
}
Symbols constant symbols = Symbols(address(uint160(uint256(keccak256("svm cheat code")))));
World constant world = World(address(uint160(uint256(keccak256("hevm cheat code")))));

/// @dev `one && other` without a branch: halmos then follows one path instead of two.
function both(bool one, bool other) pure returns (bool result) {
    assembly {
        result := and(one, other)
    }
}

/// @dev `one || other` in the same way.
function either(bool one, bool other) pure returns (bool result) {
    assembly {
        result := or(one, other)
    }
}

/// @dev EIP-712's digest for one of our contracts on this chain, with nothing but `abi.encode`.
function typed(address contract_, bytes32 structHash) view returns (bytes32) {
    bytes32 domain = keccak256(
        abi.encode(
            keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
            keccak256("Lianban"),
            keccak256("1"),
            block.chainid,
            contract_
        )
    );
    return keccak256(abi.encodePacked(hex"1901", domain, structHash));
}

/// @dev What a seat's signature is. `ecrecover` is any function to halmos.
function signedBy(address signer, bytes32 digest, bytes memory signature) pure returns (bool) {
    (bytes32 r, bytes32 s, uint8 v) = (0, 0, 0);
    assembly {
        r := mload(add(signature, 0x20))
        s := mload(add(signature, 0x40))
        v := byte(0, mload(add(signature, 0x60)))
    }
    // At most half of the curve's order, so that nobody makes a second signature from a first.
    bool low = uint256(s) <= 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;
    return both(both(signer != address(0), low), ecrecover(digest, v, r, s) == signer);
}
