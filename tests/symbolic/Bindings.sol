// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import { Catalog } from "../../contracts/Catalog.sol";
import { IConsortium } from "../../contracts/interfaces/IConsortium.sol";
import { Binding, PublishedVersion } from "../../contracts/types/Scenarios.sol";
import { both, either, signedBy, symbols, typed, world } from "./Cheats.sol";
import { AnySigners } from "./Stubs.sol";

/// @notice I3 in the Catalog: what any one call, by anyone, at any time, leaves of a version and of a binding.
/// @dev Names in the call have 40 bytes, a binding has one approver and one provider. Versions, and the seats of the bindings
///      around the one that a check is about, are concrete, since halmos could not tell one's records from another's.
contract BindingCheck {
    AnySigners private _signers;
    Catalog private _catalog;

    bytes32 private constant VERSION = keccak256("version");
    bytes32 private constant OTHER = keccak256("other");

    function setUp() public {
        _signers = new AnySigners();
        _catalog = new Catalog(IConsortium(address(_signers)));
        symbols.enableSymbolicStorage(address(_signers));
        _catalog.publish("bookshop", VERSION, symbols.createBytes32("texts"), 1, _signature());
        _catalog.bind(_bindingOf(1, 2, 3, 4), _signatures(4));
    }

    function check_anything__version_and_binding_there__I3(address sender, uint256 time, uint8 call, bool same)
        external
    {
        _afterAnything(sender, time, _anyCall(call, same ? VERSION : OTHER));
    }

    function check_anything__binding_retired__never_live_again(address sender, uint256 time, uint8 call, bool same)
        external
    {
        _catalog.retire(1, 3, _signature());
        _afterAnything(sender, time, _anyCall(call, same ? VERSION : OTHER));
        (, bool live) = _catalog.bindingOf(1);
        assert(!live);
    }

    /// @dev A binding goes live only with a signature of every seat that it names, here four, or three of which one plays two roles.
    function check_bind__any_signatures__every_seat_signed(bool twice, uint8 count) external {
        uint8 provider = twice ? 3 : 77;
        Binding memory binding = _bindingOf(9, 3, 200, provider);
        bytes[] memory signatures = _signatures(count == 2 ? 2 : count == 3 ? 3 : 4);

        assert(_catalog.bind(binding, signatures) == 2);

        bytes32 digest = typed(address(_catalog), _structHash(binding));
        bool roles = both(_oneIsBy(9, digest, signatures), _oneIsBy(3, digest, signatures));
        assert(both(roles, both(_oneIsBy(200, digest, signatures), _oneIsBy(provider, digest, signatures))));
    }

    /// @dev I4 in the Catalog: the same signed binding is not made twice.
    function check_bind__the_same_again__refused() external {
        Binding memory binding = _bindingOf(9, 3, 200, 77);
        _catalog.bind(binding, _signatures(4));

        (bool ok,) = address(_catalog).call(abi.encodeCall(Catalog.bind, (binding, _signatures(4))));

        assert(!ok);
    }

    function _afterAnything(address sender, uint256 time, bytes memory data) private {
        world.warp(time);
        PublishedVersion memory version = _catalog.versionOf(VERSION);
        (Binding memory binding, bool live) = _catalog.bindingOf(1);
        bytes32 terms = _terms();

        world.prank(sender);
        (bool ok,) = address(_catalog).call(data);
        world.assume(ok);

        (,, bool known,) = _catalog.termsOf(0);
        assert(!known);
        PublishedVersion memory versionNow = _catalog.versionOf(VERSION);
        assert(keccak256(bytes(versionNow.scenario)) == keccak256(bytes(version.scenario)));
        assert(versionNow.publisher == version.publisher);
        bool amended = both(bytes4(data) == Catalog.amendTexts.selector, versionNow.revision == version.revision + 1);
        assert(either(amended, both(versionNow.texts == version.texts, versionNow.revision == version.revision)));
        (Binding memory bindingNow, bool liveNow) = _catalog.bindingOf(1);
        assert(keccak256(abi.encode(bindingNow)) == keccak256(abi.encode(binding)));
        assert(_terms() == terms);
        assert(either(liveNow == live, both(live, bytes4(data) == Catalog.retire.selector)));
        assert(_catalog.bindingCount() >= 1);
    }

    /// @dev One of all calls that can change anything, with any arguments.
    function _anyCall(uint8 call, bytes32 version) private view returns (bytes memory) {
        bytes32 texts = symbols.createBytes32("texts");
        if (call == 0) {
            string memory scenario = string(symbols.createBytes(40, "scenario"));
            return abi.encodeCall(Catalog.publish, (scenario, version, texts, _any8(), _signature()));
        }
        if (call == 1) {
            uint32 revision = uint32(symbols.createUint256("revision"));
            return abi.encodeCall(Catalog.amendTexts, (version, texts, revision, _signature()));
        }
        if (call == 2) {
            Binding memory binding = _bindingOf(5, 6, 7, 8);
            binding.version = version;
            return abi.encodeCall(Catalog.bind, (binding, _signatures(4)));
        }
        return abi.encodeCall(Catalog.retire, (uint40(symbols.createUint256("number")), _any8(), _signature()));
    }

    function _any8() private pure returns (uint8) {
        return uint8(symbols.createUint256("seat"));
    }

    function _terms() private view returns (bytes32) {
        (uint256 approvers, uint8 lead, bool known,) = _catalog.termsOf(1);
        return keccak256(abi.encode(approvers, lead, known));
    }

    function _bindingOf(uint8 identity, uint8 operator, uint8 approver, uint8 provider)
        private
        view
        returns (Binding memory binding)
    {
        binding.version = VERSION;
        binding.region = uint32(symbols.createUint256("region"));
        (binding.identity, binding.operator) = (identity, operator);
        (binding.approvers, binding.providers) = (new uint8[](1), new uint8[](1));
        (binding.approvers[0], binding.providers[0]) = (approver, provider);
        binding.validUntil = uint64(symbols.createUint256("validUntil"));
    }

    function _structHash(Binding memory binding) private pure returns (bytes32) {
        bytes32 typeHash = keccak256(
            "Binding(bytes32 version,uint32 region,uint8 identity,uint8 operator,uint8[] approvers,uint8[] providers,uint64 validUntil)"
        );
        bytes32 approvers = keccak256(abi.encode(uint256(binding.approvers[0])));
        bytes32 providers = keccak256(abi.encode(uint256(binding.providers[0])));
        return keccak256(
            abi.encode(
                typeHash,
                binding.version,
                binding.region,
                binding.identity,
                binding.operator,
                approvers,
                providers,
                binding.validUntil
            )
        );
    }

    function _oneIsBy(uint8 seat, bytes32 digest, bytes[] memory signatures) private view returns (bool found) {
        for (uint256 i; i < signatures.length; ++i) {
            found = either(found, signedBy(_signers.signerOf(seat), digest, signatures[i]));
        }
    }

    function _signatures(uint256 count) private pure returns (bytes[] memory signatures) {
        signatures = new bytes[](count);
        for (uint256 i; i < count; ++i) {
            signatures[i] = _signature();
        }
    }

    function _signature() private pure returns (bytes memory) {
        return symbols.createBytes(65, "signature");
    }
}
