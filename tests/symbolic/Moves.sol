// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import { Status, follows } from "../../contracts/types/Cases.sol";

contract MovesCheck {
    function check_follows__any_two__as_the_table(uint8 from, uint8 to) external pure {
        if (to >= 8) return;
        bool allowed;
        if (from == uint8(Status.None)) allowed = to >= 1 && to <= 5;
        else if (from == uint8(Status.Accepted)) allowed = to >= 2 && to <= 5;
        else if (from == uint8(Status.Returned)) allowed = to == 1 || (to >= 3 && to <= 5);
        else if (from == uint8(Status.Approved)) allowed = to == 6 || to == 7;
        else if (from == uint8(Status.Suspended)) allowed = to == 3 || to == 6;
        assert(follows(from, to) == allowed);
    }
}
