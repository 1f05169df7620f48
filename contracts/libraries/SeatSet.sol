// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";

/// @notice A set of seats, or of places in a batch, as a bitmap: bit n stands for number n.
library SeatSet {
    function has(uint256 set, uint256 number) internal pure returns (bool) {
        return (set >> number) & 1 == 1;
    }

    function with(uint256 set, uint256 number) internal pure returns (uint256) {
        return set | (1 << number);
    }

    function union(uint8[] memory seats) internal pure returns (uint256 set) {
        for (uint256 i; i < seats.length; ++i) {
            set = with(set, seats[i]);
        }
    }

    /// @dev The lowest number in a set that is not empty.
    function lowest(uint256 set) internal pure returns (uint256) {
        return Math.log2(set & (~set + 1));
    }

    /// @dev The set without its lowest number.
    function rest(uint256 set) internal pure returns (uint256) {
        return set & (set - 1);
    }

    function count(uint256 set) internal pure returns (uint256 members) {
        for (; set != 0; set = rest(set)) {
            ++members;
        }
    }
}
