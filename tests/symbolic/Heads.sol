// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import { CaseLedger } from "../../contracts/CaseLedger.sol";
import { ICatalog } from "../../contracts/interfaces/ICatalog.sol";
import { IConsortium } from "../../contracts/interfaces/IConsortium.sol";
import { ConsistencyProof } from "../../contracts/libraries/ConsistencyProof.sol";
import { InclusionProof } from "../../contracts/libraries/InclusionProof.sol";
import { Head, Sheet, Transition } from "../../contracts/types/Batches.sol";
import { both, either, signedBy, symbols, typed } from "./Cheats.sol";
import { AnySigners } from "./Stubs.sol";

/// @notice RFC 9162's proofs once more, by recursion over the tree as the RFC defines it, not bit by bit as the libraries do.
contract Recursive {
    bytes32[] private _proof;
    uint256 private _next;
    bool private _short;

    function extension(uint256 oldSize, bytes32 oldRoot, uint256 newSize, bytes32 newRoot, bytes32[] calldata proof)
        external
        returns (bool)
    {
        (_proof, _next, _short) = (proof, 0, false);
        (bytes32 older, bytes32 newer) = _both(oldSize, newSize, true, oldRoot);
        return both(both(!_short, _next == proof.length), both(older == oldRoot, newer == newRoot));
    }

    function inclusion(bytes32 leaf, uint256 index, uint256 size, bytes32 root, bytes32[] calldata proof)
        external
        returns (bool)
    {
        (_proof, _next, _short) = (proof, 0, false);
        bytes32 node = _above(leaf, index, size);
        return both(both(!_short, _next == proof.length), node == root);
    }

    /// @return older Root of the first `m` leaves as the proof has it.
    /// @return newer Root of all `n`.
    function _both(uint256 m, uint256 n, bool whole, bytes32 oldRoot) private returns (bytes32 older, bytes32 newer) {
        if (m == n) {
            older = whole ? oldRoot : _take();
            return (older, older);
        }
        uint256 left = _split(n);
        if (m <= left) {
            (older, newer) = _both(m, left, whole, oldRoot);
            return (older, _node(newer, _take()));
        }
        (older, newer) = _both(m - left, n - left, false, oldRoot);
        bytes32 beside = _take();
        return (_node(beside, older), _node(beside, newer));
    }

    function _above(bytes32 leaf, uint256 index, uint256 size) private returns (bytes32) {
        if (size == 1) return leaf;
        uint256 left = _split(size);
        if (index < left) {
            bytes32 node = _above(leaf, index, left);
            return _node(node, _take());
        }
        bytes32 right = _above(leaf, index - left, size - left);
        return _node(_take(), right);
    }

    /// @dev The largest power of two below a size.
    function _split(uint256 size) private pure returns (uint256 left) {
        for (left = 1; left * 2 < size;) {
            left *= 2;
        }
    }

    function _take() private returns (bytes32) {
        if (_next == _proof.length) {
            _short = true;
            return 0;
        }
        return _proof[_next++];
    }

    function _node(bytes32 left, bytes32 right) private pure returns (bytes32) {
        return sha256(abi.encodePacked(bytes1(0x01), left, right));
    }
}

/// @notice The libraries against the recursion, for all roots and proofs; SHA-256 is any function.
contract ProofCheck {
    Recursive private _rfc;

    function setUp() public {
        _rfc = new Recursive();
    }

    function isExtension(uint256 oldSize, bytes32 oldRoot, uint256 newSize, bytes32 newRoot, bytes32[] calldata proof)
        external
        view
        returns (bool)
    {
        return ConsistencyProof.isExtension(oldSize, oldRoot, newSize, newRoot, proof);
    }

    function isIncluded(bytes32 leaf, uint256 index, uint256 size, bytes32 root, bytes32[] calldata proof)
        external
        view
        returns (bool)
    {
        return InclusionProof.isIncluded(leaf, index, size, root, proof);
    }

    /// @dev I7, all pairs of sizes up to 8 with proofs of up to 5 nodes.
    function check_isExtension__sizes_to_8__as_the_rfc_by_recursion(
        uint8 pair,
        uint8 length,
        bytes32 older,
        bytes32 newer
    ) external {
        for (uint256 m = 1; m <= 8; ++m) {
            for (uint256 n = m + 1; n <= 8; ++n) {
                if (pair == m * 16 + n) {
                    for (uint256 nodes; nodes <= 5; ++nodes) {
                        if (length == nodes) _extension(m, older, n, newer, nodes);
                    }
                }
            }
        }
    }

    /// @dev All places in trees of up to 8 leaves with proofs of up to 5 nodes.
    function check_isIncluded__sizes_to_8__as_the_rfc_by_recursion(uint8 pair, uint8 length, bytes32 leaf, bytes32 root)
        external
    {
        for (uint256 size = 1; size <= 8; ++size) {
            for (uint256 index; index < size; ++index) {
                if (pair == index * 16 + size) {
                    for (uint256 nodes; nodes <= 5; ++nodes) {
                        if (length == nodes) _inclusion(leaf, index, size, root, nodes);
                    }
                }
            }
        }
    }

    /// @dev Whatever the sizes and the roots are: an empty log is extended by every other, nothing by what is not larger.
    function check_isExtension__any_sizes__larger_only_and_all_from_nothing(
        uint256 oldSize,
        uint256 newSize,
        bytes32 older,
        bytes32 newer
    ) external view {
        bytes32[] memory none = new bytes32[](0);
        assert(this.isExtension(oldSize, older, newSize, newer, none) == both(oldSize == 0, newSize != 0));
        bytes32[] memory some = _nodes(1);
        if (newSize <= oldSize || oldSize == 0) assert(!this.isExtension(oldSize, older, newSize, newer, some));
    }

    function _extension(uint256 m, bytes32 older, uint256 n, bytes32 newer, uint256 count) private {
        bytes32[] memory proof = _nodes(count);
        assert(this.isExtension(m, older, n, newer, proof) == _rfc.extension(m, older, n, newer, proof));
    }

    function _inclusion(bytes32 leaf, uint256 index, uint256 size, bytes32 root, uint256 count) private {
        bytes32[] memory proof = _nodes(count);
        assert(this.isIncluded(leaf, index, size, root, proof) == _rfc.inclusion(leaf, index, size, root, proof));
    }

    function _nodes(uint256 count) private pure returns (bytes32[] memory nodes) {
        nodes = new bytes32[](count);
        for (uint256 i; i < count; ++i) {
            nodes[i] = symbols.createBytes32("node");
        }
    }
}

/// @notice What `settle` does to an anchored head, from any state of the ledger.
contract HeadCheck {
    AnySigners private _signers;
    CaseLedger private _ledger;

    function setUp() public {
        _signers = new AnySigners();
        _ledger = new CaseLedger(IConsortium(address(_signers)), ICatalog(address(0)));
        symbols.enableSymbolicStorage(address(_signers));
        symbols.enableSymbolicStorage(address(_ledger));
    }

    /// @dev I7 for sizes up to 4 and proofs of up to 2 nodes; a seat's head is the same or a signed extension of the one before.
    function check_settle__any_head__anchored_exactly_when_I7_allows(Head memory head, uint8 other, uint8 length)
        external
    {
        (uint64 size, bytes26 root) = _ledger.headOf(head.seat);
        (uint64 otherSize, bytes26 otherRoot) = _ledger.headOf(other);
        (head.oldSize, head.newSize) = (_small(head.oldSize), _small(head.newSize));
        head.proof = new bytes32[](0);
        for (uint256 nodes = 1; nodes <= 2; ++nodes) {
            if (length == nodes) head.proof = _nodes(nodes);
        }
        head.signature = symbols.createBytes(65, "signature");

        Head[] memory heads = new Head[](1);
        heads[0] = head;
        _ledger.settle(new Transition[](0), new Sheet[](0), heads);

        (uint64 newSize, bytes26 newRoot) = _ledger.headOf(head.seat);
        bool signed = signedBy(
            _signers.signerOf(head.seat),
            typed(
                address(_ledger),
                keccak256(
                    abi.encode(
                        keccak256("Head(uint8 seat,uint64 size,bytes32 root)"), head.seat, head.newSize, head.newRoot
                    )
                )
            ),
            head.signature
        );
        bool extends = _ledger.verifyExtension(head.oldSize, head.oldRoot, head.newSize, head.newRoot, head.proof);
        bool from = both(head.oldSize == size, either(head.oldSize == 0, bytes26(head.oldRoot) == root));
        if (both(signed, both(from, extends))) {
            assert(both(newSize > size, both(newSize == head.newSize, newRoot == bytes26(head.newRoot))));
        } else {
            assert(both(newSize == size, newRoot == root));
        }
        if (other != head.seat) {
            (uint64 sizeThere, bytes26 rootThere) = _ledger.headOf(other);
            assert(both(sizeThere == otherSize, rootThere == otherRoot));
        }
    }

    /// @dev One of 0 … 4, concrete on each path.
    function _small(uint64 size) private pure returns (uint64) {
        for (uint64 i; i < 4; ++i) {
            if (size == i) return i;
        }
        return 4;
    }

    function _nodes(uint256 count) private pure returns (bytes32[] memory nodes) {
        nodes = new bytes32[](count);
        for (uint256 i; i < count; ++i) {
            nodes[i] = symbols.createBytes32("node");
        }
    }
}
