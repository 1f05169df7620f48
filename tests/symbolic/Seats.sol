// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import { Consortium } from "../../contracts/Consortium.sol";
import { KeyRecord, Standing } from "../../contracts/types/Seats.sol";
import { both, either, signedBy, symbols, typed, world } from "./Cheats.sol";

/// @notice What any one call, by anyone, in any block, does to a seat that has come as far as a check says.
/// @dev Keys, blocks, senders and arguments are symbolic; keysets have 32 bytes in what went before and 65 in the call.
/// @custom:halmos --default-bytes-lengths 65
contract SeatCheck {
    address private constant COUNCIL = address(0xC0);

    Consortium private _consortium;
    uint8 private _seat;
    uint256 private _block;
    uint32 private _vetoBlocks;

    function setUp() public {
        _vetoBlocks = uint32(symbols.createUint256("vetoBlocks"));
        world.assume(_vetoBlocks != 0);
        _consortium = new Consortium(COUNCIL, _vetoBlocks);
        _seat = uint8(symbols.createUint256("seat"));
        _pass();
        world.prank(COUNCIL);
        _consortium.admit(_seat, _signer(), _keyset(), _signature());
    }

    function check_anything__seat_admitted(uint256 x, address sender) external {
        _afterAnything(x, sender);
    }

    function check_anything__recovery_announced(uint256 x, address sender) external {
        _recover();
        _afterAnything(x, sender);
    }

    function check_anything__rotation_announced(uint256 x, address sender) external {
        _pass();
        uint64 fromBlock = uint64(symbols.createUint256("fromBlock"));
        _consortium.rotate(_seat, _signer(), _keyset(), fromBlock, _signature(), _signature());
        _afterAnything(x, sender);
    }

    function check_anything__seat_suspended(uint256 x, address sender) external {
        _pass();
        world.prank(COUNCIL);
        _consortium.suspend(_seat);
        _afterAnything(x, sender);
    }

    function check_anything__seat_removed__never_active_again(uint256 x, address sender) external {
        _pass();
        world.prank(COUNCIL);
        _consortium.remove(_seat);
        uint256 removed = _block;
        _afterAnything(x, sender);
        if (x >= removed) {
            assert(_consortium.standingAt(_seat, x) == Standing.Removed);
            assert(_consortium.signerAt(_seat, x) == address(0));
        }
    }

    /// @dev The key in force vetoes, nobody else; then it is as if nothing had been announced.
    function check_veto__recovery_announced__exactly_by_the_key_in_force(uint256 x, uint32 change) external {
        (address signer, bytes32 keysetHash) = (_consortium.signerOf(_seat), _consortium.keysetHashOf(_seat));
        _recover();
        uint256 fromBlock = _block + _vetoBlocks;
        _pass();
        bytes memory signature = _signature();

        (bool ok,) = address(_consortium).call(abi.encodeCall(Consortium.veto, (_seat, change, signature)));

        bytes32 structHash = keccak256(abi.encode(keccak256("Veto(uint8 seat,uint32 change)"), _seat, change));
        bool signed = signedBy(signer, typed(address(_consortium), structHash), signature);
        assert(ok == both(both(change == 1, _block < fromBlock), signed));
        if (ok) {
            (uint32 announced,) = _consortium.announcedOf(_seat);
            assert(announced == 0);
            if (x >= _block) {
                assert(_consortium.signerAt(_seat, x) == signer && _consortium.keysetHashAt(_seat, x) == keysetHash);
            }
        }
    }

    /// @dev A rotation takes the signatures of the key in force and of the new one.
    function check_rotate__seat_admitted__both_keys_signed(uint64 fromBlock, address signer) external {
        address present = _consortium.signerOf(_seat);
        _pass();
        (bytes memory keyset, bytes memory old, bytes memory fresh) = (_keyset(), _signature(), _signature());

        _consortium.rotate(_seat, signer, keyset, fromBlock, old, fresh);

        bytes32 typeHash =
            keccak256("Rotation(uint8 seat,address signer,bytes32 keysetHash,uint64 fromBlock,uint32 change)");
        bytes32 structHash = keccak256(abi.encode(typeHash, _seat, signer, keccak256(keyset), fromBlock, uint32(1)));
        bytes32 digest = typed(address(_consortium), structHash);
        assert(signedBy(present, digest, old) && signedBy(signer, digest, fresh));
        assert(both(fromBlock > _block, fromBlock <= _block + _vetoBlocks));
    }

    function _afterAnything(uint256 x, address sender) private {
        _pass();
        bytes memory data = symbols.createCalldata("Consortium");
        bytes4 selector = bytes4(data);
        address signer = _consortium.seatOf(_seat).signer;
        bytes32 keysThen = _consortium.keysetHashAt(_seat, x);
        Standing standingThen = _consortium.standingAt(_seat, x);
        uint256 standings = _consortium.standingsOf(_seat).length;
        uint32 changes = _consortium.changeCount(_seat);
        (uint32 pending,) = _consortium.announcedOf(_seat);

        world.prank(sender);
        (bool ok,) = address(_consortium).call(data);
        world.assume(ok);

        // What held at the end of a past block holds for ever.
        bool keysAsBefore = _consortium.keysetHashAt(_seat, x) == keysThen;
        bool standingAsBefore = _consortium.standingAt(_seat, x) == standingThen;
        assert(either(x >= _block, both(keysAsBefore, standingAsBefore)));
        // No call changes the keys in force in its own block.
        assert(_consortium.seatOf(_seat).signer == signer);
        // A key's holder alone changes them before the veto is over; a veto or a cancellation keeps them.
        bool waits = both(pending == 0, selector != Consortium.rotate.selector);
        assert(either(!waits, either(x >= _block + _vetoBlocks, keysAsBefore)));
        // Standing is the council's, and so is every announcement without the seat's own signature.
        bool council = sender == COUNCIL;
        bool stood = _consortium.standingsOf(_seat).length == standings;
        bool announced = both(_consortium.changeCount(_seat) != changes, selector != Consortium.rotate.selector);
        assert(either(council, both(stood, !announced)));
    }

    function _recover() private {
        _pass();
        world.prank(COUNCIL);
        _consortium.recover(_seat, _signer(), _keyset(), _signature());
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
