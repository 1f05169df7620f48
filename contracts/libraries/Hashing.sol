// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @notice Hashes of a few words without leaving anything in memory.
/// @dev In a batch of 256 cases `keccak256(abi.encode(...))` would expand memory until it costs hundreds of gas a case. The words
///      are written beyond the free memory pointer, which stays where it is.
// slither-disable-start assembly -- what this library is for: memory that Solidity would leave behind
library Hashing {
    /// @dev keccak256(abi.encode(a, b, c)).
    function keccak3(uint256 a, uint256 b, bytes32 c) internal pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, a)
            mstore(add(free, 0x20), b)
            mstore(add(free, 0x40), c)
            hash := keccak256(free, 0x60)
        }
    }

    /// @dev keccak256(abi.encode(a, b, c, d)).
    function keccak4(bytes32 a, bytes32 b, bytes32 c, uint256 d) internal pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, a)
            mstore(add(free, 0x20), b)
            mstore(add(free, 0x40), c)
            mstore(add(free, 0x60), d)
            hash := keccak256(free, 0x80)
        }
    }

    /// @dev keccak256(abi.encodePacked(...)) of those words whose bit in `chosen` is set, in order; `chosen` has no bit beyond
    ///      `words`.
    function keccakOf(bytes32[] memory words, uint256 chosen) internal pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            let end := free
            let word := add(words, 0x20)
            // A batch sorted by binding leaves long stretches out.
            for { } and(iszero(and(chosen, 0xffff)), gt(chosen, 0)) { word := add(word, 0x200) } {
                chosen := shr(16, chosen)
            }
            // Each word is written at the end, which moves on only if the word was chosen.
            for { } chosen { word := add(word, 0x20) } {
                mstore(end, mload(word))
                end := add(end, shl(5, and(chosen, 1)))
                chosen := shr(1, chosen)
            }
            hash := keccak256(free, sub(end, free))
        }
    }

    /// @dev sha256(abi.encodePacked(bytes1(0x01), left, right)): an inner node of RFC 9162.
    function sha256Node(bytes32 left, bytes32 right) internal view returns (bytes32 hash) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore8(free, 1)
            mstore(add(free, 0x01), left)
            mstore(add(free, 0x21), right)
            // The precompile fails only without gas, and then so does everything after it.
            if iszero(staticcall(gas(), 0x02, free, 0x41, 0x00, 0x20)) { invalid() }
            hash := mload(0x00)
        }
    }
}
// slither-disable-end assembly
