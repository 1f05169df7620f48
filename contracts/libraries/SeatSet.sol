// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @notice A set of seats, or of places in a batch, as a bitmap: bit n stands for number n.
library SeatSet {
    function has(uint256 set, uint256 number) internal pure returns (bool) {
        return (set >> number) & 1 == 1;
    }

    function with(uint256 set, uint256 number) internal pure returns (uint256) {
        // forge-lint: disable-next-line(incorrect-shift) -- one, shifted to the number's place
        return set | (1 << number);
    }

    function union(uint8[] memory seats) internal pure returns (uint256 set) {
        for (uint256 i; i < seats.length; ++i) {
            set = with(set, seats[i]);
        }
    }

    function count(uint256 set) internal pure returns (uint256 members) {
        for (; set != 0; set &= set - 1) {
            ++members;
        }
    }
}
