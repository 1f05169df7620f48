// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import { Consortium } from "../../contracts/Consortium.sol";
import { KeyRecord, Standing } from "../../contracts/types/Seats.sol";
import { both, either, signedBy, symbols, typed, world } from "./Cheats.sol";

/// @notice What any one call, by anyone, in any block, does to a seat that has come as far as a check says.
/// @dev Keys, blocks, senders and arguments are symbolic; keysets have 32 bytes. The seats are concrete, since halmos could not
///      tell one seat's records from another's; the contract knows seats only as keys of mappings.
contract SeatCheck {
    address private constant COUNCIL = address(0xC0);
    uint8 private constant SEAT = 7;
    uint8 private constant OTHER = 8;

    Consortium private _consortium;
    uint256 private _block;
    uint32 private _vetoBlocks;

    function setUp() public {
        _vetoBlocks = uint32(symbols.createUint256("vetoBlocks"));
        world.assume(_vetoBlocks != 0);
        _consortium = new Consortium(COUNCIL, _vetoBlocks);
        _pass();
        world.prank(COUNCIL);
        _consortium.admit(SEAT, _signer(), _keyset(), _signature());
    }

    function check_anything__seat_admitted(uint256 x, address sender, uint8 call) external {
        _afterAnything(x, sender, call);
    }

    /// @dev What is said of another seat does nothing to this one.
    function check_anything__of_another_seat__nothing(uint256 x, address sender, uint8 call) external {
        _pass();
        world.prank(COUNCIL);
        _consortium.admit(OTHER, _signer(), _keyset(), _signature());
        _pass();
        bytes memory data = _anyCall(OTHER, call);
        bytes32 before = _seatAt(x);

        world.prank(sender);
        (bool ok,) = address(_consortium).call(data);
        world.assume(ok);

        assert(_seatAt(x) == before);
    }

    function check_anything__recovery_announced(uint256 x, address sender, uint8 call) external {
        _recover();
        _afterAnything(x, sender, call);
    }

    function check_anything__rotation_announced(uint256 x, address sender, uint8 call) external {
        _pass();
        uint64 fromBlock = uint64(symbols.createUint256("fromBlock"));
        _consortium.rotate(SEAT, _signer(), _keyset(), fromBlock, _signature(), _signature());
        _afterAnything(x, sender, call);
    }

    function check_anything__seat_suspended(uint256 x, address sender, uint8 call) external {
        _pass();
        world.prank(COUNCIL);
        _consortium.suspend(SEAT);
        _afterAnything(x, sender, call);
    }

    function check_anything__seat_removed__never_active_again(uint256 x, address sender, uint8 call) external {
        _pass();
        world.prank(COUNCIL);
        _consortium.remove(SEAT);
        uint256 removed = _block;
        _afterAnything(x, sender, call);
        if (x >= removed) {
            assert(_consortium.standingAt(SEAT, x) == Standing.Removed);
            assert(_consortium.signerAt(SEAT, x) == address(0));
        }
    }

    /// @dev The key in force vetoes, nobody else; then it is as if nothing had been announced.
    function check_veto__recovery_announced__exactly_by_the_key_in_force(uint256 x, uint32 change) external {
        (address signer, bytes32 keysetHash) = (_consortium.signerOf(SEAT), _consortium.keysetHashOf(SEAT));
        _recover();
        uint256 fromBlock = _block + _vetoBlocks;
        _pass();
        bytes memory signature = _signature();

        (bool ok,) = address(_consortium).call(abi.encodeCall(Consortium.veto, (SEAT, change, signature)));

        bytes32 structHash = keccak256(abi.encode(keccak256("Veto(uint8 seat,uint32 change)"), SEAT, change));
        bool signed = signedBy(signer, typed(address(_consortium), structHash), signature);
        assert(ok == both(both(change == 1, _block < fromBlock), signed));
        if (ok) {
            (uint32 announced,) = _consortium.announcedOf(SEAT);
            assert(announced == 0);
            if (x >= _block) {
                assert(_consortium.signerAt(SEAT, x) == signer && _consortium.keysetHashAt(SEAT, x) == keysetHash);
            }
        }
    }

    /// @dev A rotation takes the signatures of the key in force and of the new one.
    function check_rotate__seat_admitted__both_keys_signed(uint64 fromBlock, address signer) external {
        address present = _consortium.signerOf(SEAT);
        _pass();
        (bytes memory keyset, bytes memory old, bytes memory fresh) = (_keyset(), _signature(), _signature());

        _consortium.rotate(SEAT, signer, keyset, fromBlock, old, fresh);

        bytes32 typeHash =
            keccak256("Rotation(uint8 seat,address signer,bytes32 keysetHash,uint64 fromBlock,uint32 change)");
        bytes32 structHash = keccak256(abi.encode(typeHash, SEAT, signer, keccak256(keyset), fromBlock, uint32(1)));
        bytes32 digest = typed(address(_consortium), structHash);
        assert(signedBy(present, digest, old) && signedBy(signer, digest, fresh));
        assert(both(fromBlock > _block, fromBlock <= _block + _vetoBlocks));
    }

    function _afterAnything(uint256 x, address sender, uint8 call) private {
        _pass();
        bytes memory data = _anyCall(SEAT, call);
        bytes4 selector = bytes4(data);
        address signer = _consortium.seatOf(SEAT).signer;
        bytes32 keysThen = _consortium.keysetHashAt(SEAT, x);
        Standing standingThen = _consortium.standingAt(SEAT, x);
        uint256 standings = _consortium.standingsOf(SEAT).length;
        uint32 changes = _consortium.changeCount(SEAT);
        (uint32 pending,) = _consortium.announcedOf(SEAT);

        world.prank(sender);
        (bool ok,) = address(_consortium).call(data);
        world.assume(ok);

        // What held at the end of a past block holds for ever.
        bool keysAsBefore = _consortium.keysetHashAt(SEAT, x) == keysThen;
        bool standingAsBefore = _consortium.standingAt(SEAT, x) == standingThen;
        assert(either(x >= _block, both(keysAsBefore, standingAsBefore)));
        // No call changes the keys in force in its own block.
        assert(_consortium.seatOf(SEAT).signer == signer);
        // A key's holder alone changes them before the veto is over; a veto or a cancellation keeps them.
        bool waits = both(pending == 0, selector != Consortium.rotate.selector);
        assert(either(!waits, either(x >= _block + _vetoBlocks, keysAsBefore)));
        // Standing is the council's, and so is every announcement without the seat's own signature.
        bool council = sender == COUNCIL;
        bool stood = _consortium.standingsOf(SEAT).length == standings;
        bool announced = both(_consortium.changeCount(SEAT) != changes, selector != Consortium.rotate.selector);
        assert(either(council, both(stood, !announced)));
    }

    /// @dev One of all calls that can change anything, with any arguments.
    function _anyCall(uint8 seat, uint8 call) private pure returns (bytes memory) {
        if (call == 0) return abi.encodeCall(Consortium.admit, (seat, _signer(), _keyset(), _signature()));
        if (call == 1) {
            uint64 fromBlock = uint64(symbols.createUint256("fromBlock"));
            return
                abi.encodeCall(Consortium.rotate, (seat, _signer(), _keyset(), fromBlock, _signature(), _signature()));
        }
        if (call == 2) return abi.encodeCall(Consortium.recover, (seat, _signer(), _keyset(), _signature()));
        if (call == 3) return abi.encodeCall(Consortium.succeed, (seat, _signer(), _keyset(), _signature()));
        if (call == 4) return abi.encodeCall(Consortium.veto, (seat, _change(), _signature()));
        if (call == 5) return abi.encodeCall(Consortium.cancel, (seat, _change()));
        if (call == 6) return abi.encodeCall(Consortium.suspend, (seat));
        if (call == 7) return abi.encodeCall(Consortium.reinstate, (seat));
        if (call == 8) return abi.encodeCall(Consortium.remove, (seat));
        if (call == 9) return abi.encodeWithSignature("transferOwnership(address)", symbols.createAddress("owner"));
        if (call == 10) return abi.encodeWithSignature("acceptOwnership()");
        return abi.encodeWithSignature("renounceOwnership()");
    }

    function _seatAt(uint256 x) private view returns (bytes32) {
        return keccak256(
            abi.encode(
                _consortium.keysetHashAt(SEAT, x),
                _consortium.standingAt(SEAT, x),
                _consortium.signerAt(SEAT, x),
                _consortium.changeCount(SEAT)
            )
        );
    }

    function _change() private pure returns (uint32) {
        return uint32(symbols.createUint256("change"));
    }

    function _recover() private {
        _pass();
        world.prank(COUNCIL);
        _consortium.recover(SEAT, _signer(), _keyset(), _signature());
    }

    /// @dev Any number of blocks goes by, also none.
    function _pass() private {
        uint256 next = symbols.createUint256("block");
        world.assume(both(next >= _block, next < type(uint48).max));
        _block = next;
        world.roll(next);
    }

    function _signer() private pure returns (address) {
        return symbols.createAddress("signer");
    }

    function _keyset() private pure returns (bytes memory) {
        return symbols.createBytes(32, "keyset");
    }

    function _signature() private pure returns (bytes memory) {
        return symbols.createBytes(65, "signature");
    }
}
