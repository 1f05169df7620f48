// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @notice A sender for the stateful tests: many calls in one block with what each returned, many views in one call.
/// @dev Each instance is one actor. Any instance makes any other one act, so that several senders fit into one block.
contract Probe {
    struct Call {
        address target;
        bytes data;
    }

    struct Act {
        Probe by;
        Call call;
    }

    /// @notice Many calls of one view, whose arguments are words.
    struct Group {
        address target;
        bytes4 selector;
        /// How many words each call takes, at least one.
        uint256 words;
        bytes arguments;
    }

    /// @notice Closes the events of one act.
    event Played(bool ok, bytes returned);

    /// @notice Plays acts in order; one that reverts stops none of the others.
    function play(Act[] calldata acts) external {
        for (uint256 i; i < acts.length; ++i) {
            (bool ok, bytes memory returned) = acts[i].by.act(acts[i].call);
            emit Played(ok, returned);
        }
    }

    function act(Call calldata call) external returns (bool ok, bytes memory returned) {
        return call.target.call(call.data);
    }

    /// @notice By call, keccak-256 of what it returned with a leading byte that tells whether it went well.
    function look(Call[] calldata calls) external view returns (bytes32[] memory seen) {
        seen = new bytes32[](calls.length);
        for (uint256 i; i < calls.length; ++i) {
            (bool ok, bytes memory returned) = calls[i].target.staticcall(calls[i].data);
            seen[i] = keccak256(abi.encodePacked(ok, returned));
        }
    }

    /// @notice The same for groups, and then for the calls that fit into none.
    function survey(Group[] calldata groups, Call[] calldata calls) external view returns (bytes32[] memory seen) {
        uint256 total = calls.length;
        for (uint256 i; i < groups.length; ++i) {
            total += groups[i].arguments.length / (32 * groups[i].words);
        }
        seen = new bytes32[](total);
        uint256 place;
        for (uint256 i; i < groups.length; ++i) {
            Group calldata group = groups[i];
            uint256 size = 32 * group.words;
            for (uint256 at; at < group.arguments.length; at += size) {
                seen[place++] = _seen(group.target, bytes.concat(group.selector, group.arguments[at:at + size]));
            }
        }
        for (uint256 i; i < calls.length; ++i) {
            seen[place++] = _seen(calls[i].target, calls[i].data);
        }
    }

    function _seen(address target, bytes memory data) private view returns (bytes32) {
        (bool ok, bytes memory returned) = target.staticcall(data);
        return keccak256(abi.encodePacked(ok, returned));
    }
}
