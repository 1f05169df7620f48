// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import { CaseLedger } from "../../contracts/CaseLedger.sol";
import { ICatalog } from "../../contracts/interfaces/ICatalog.sol";
import { IConsortium } from "../../contracts/interfaces/IConsortium.sol";
import { Head, Sheet, Transition } from "../../contracts/types/Batches.sol";
import { CaseId, Status, Step, follows } from "../../contracts/types/Cases.sol";
import { both, either, signedBy, symbols, typed, world } from "./Cheats.sol";
import { AnySigners, AnyTerms } from "./Stubs.sol";

/// @notice What `settle` does to cases, from any state of the ledger, whatever the Consortium and the Catalog answer.
/// @dev Seats, covered places and lengths are concrete on each path, since they become places in memory; all else is symbolic.
contract LedgerCheck {
    struct Slot {
        Status status;
        uint16 sequence;
        uint40 binding;
        uint192 commitment;
    }

    AnySigners private _signers;
    AnyTerms private _terms;
    CaseLedger private _ledger;

    uint8 private constant FIRST = 3;
    uint8 private constant SECOND = 9;
    uint8 private constant THIRD = 200;

    function setUp() public {
        _signers = new AnySigners();
        _terms = new AnyTerms();
        _ledger = new CaseLedger(IConsortium(address(_signers)), ICatalog(address(_terms)));
        symbols.enableSymbolicStorage(address(_signers));
        symbols.enableSymbolicStorage(address(_terms));
        symbols.enableSymbolicStorage(address(_ledger));
    }

    /// @dev One transition, one sheet, one approver: settled exactly when all is there that the invariants ask for.
    function check_settle__one_sheet__exactly_when_I1_to_I4_allow(
        Transition memory one,
        uint8 seat,
        uint64 validUntil,
        uint256 covers
    ) external {
        _terms.set(1 << FIRST, FIRST);
        if (seat != FIRST) (seat, covers) = (SECOND, 1);
        if (covers != 0 && covers != 1) covers = 2;
        uint256 time = symbols.createUint256("time");
        world.warp(time);
        Sheet memory sheet = Sheet(seat, validUntil, covers, symbols.createBytes(65, "signature"));
        Slot memory before = _slotOf(one.caseId);

        _settle(_list(one), _list(sheet));

        bool signed = seat == FIRST && covers == 1 && both(time <= validUntil, _signed(sheet, abi.encode(_hash(one))));
        bool allowed = both(signed, _fits(before, one));
        Slot memory afterwards = _slotOf(one.caseId);
        assert(_same(before, afterwards) == !allowed);
        if (allowed) {
            assert(uint8(afterwards.status) == _status(one));
            assert(afterwards.sequence == _sequence(one));
            assert(afterwards.binding == _binding(one));
            assert(afterwards.commitment == _rolled(before, one));
        }
    }

    /// @dev I1 with two approvers, of whom the second leads, and two sheets by whichever of them or an outsider.
    function check_settle__two_sheets_of_any_seats__I1(Transition memory one, uint8 seat, uint8 other) external {
        _terms.set((1 << FIRST) | (1 << SECOND), SECOND);
        Sheet[] memory sheets = new Sheet[](2);
        (sheets[0], sheets[1]) = (_sheetBy(_seat(seat)), _sheetBy(_seat(other)));
        Slot memory before = _slotOf(one.caseId);

        _settle(_list(one), sheets);

        bytes memory covered = abi.encode(_hash(one));
        bool byFirst;
        bool bySecond;
        for (uint256 i; i < 2; ++i) {
            bool signed = _signed(sheets[i], covered);
            byFirst = either(byFirst, both(sheets[i].seat == FIRST, signed));
            bySecond = either(bySecond, both(sheets[i].seat == SECOND, signed));
        }
        bool enough = _enough(one, both(byFirst, bySecond), either(byFirst, bySecond), bySecond);
        assert(_same(before, _slotOf(one.caseId)) == !both(enough, _fits(before, one)));
    }

    /// @dev I1 with three approvers, of whom the third leads, and a sheet of each.
    function check_settle__three_sheets__I1(Transition memory one) external {
        _terms.set((1 << FIRST) | (1 << SECOND) | (1 << THIRD), THIRD);
        Sheet[] memory sheets = new Sheet[](3);
        (sheets[0], sheets[1], sheets[2]) = (_sheetBy(THIRD), _sheetBy(FIRST), _sheetBy(SECOND));
        Slot memory before = _slotOf(one.caseId);

        _settle(_list(one), sheets);

        bytes memory covered = abi.encode(_hash(one));
        bool byLead = _signed(sheets[0], covered);
        (bool byFirst, bool bySecond) = (_signed(sheets[1], covered), _signed(sheets[2], covered));
        bool all = both(byLead, both(byFirst, bySecond));
        bool enough = _enough(one, all, either(byLead, either(byFirst, bySecond)), byLead);
        assert(_same(before, _slotOf(one.caseId)) == !both(enough, _fits(before, one)));
    }

    /// @dev I1 and I8 with two transitions of different cases and a signed sheet: each settles by whether the sheet covers it,
    ///      whatever becomes of the other.
    function check_settle__two_cases__each_by_what_covers_it(Transition memory one, Transition memory two, uint8 covers)
        external
    {
        world.assume(CaseId.unwrap(one.caseId) != CaseId.unwrap(two.caseId));
        _terms.set(1 << FIRST, FIRST);
        Sheet memory sheet = _sheetBy(FIRST);
        sheet.covers = _small(covers, 3);
        bytes memory covered;
        if (sheet.covers & 1 == 1) covered = abi.encodePacked(covered, _hash(one));
        if (sheet.covers & 2 == 2) covered = abi.encodePacked(covered, _hash(two));
        world.assume(_signed(sheet, covered));
        (Slot memory beforeOne, Slot memory beforeTwo) = (_slotOf(one.caseId), _slotOf(two.caseId));

        _settle(_list(one, two), _list(sheet));

        bool first = both(sheet.covers & 1 == 1, _fits(beforeOne, one));
        bool second = both(sheet.covers & 2 == 2, _fits(beforeTwo, two));
        assert(_same(beforeOne, _slotOf(one.caseId)) == !first);
        assert(_same(beforeTwo, _slotOf(two.caseId)) == !second);
    }

    /// @dev I4 within a batch: the same step twice moves the case at most once, and nobody else's.
    function check_settle__same_step_twice__moves_once(Transition memory one, bytes32 otherRoot, CaseId bystander)
        external
    {
        world.assume(CaseId.unwrap(one.caseId) != CaseId.unwrap(bystander));
        _terms.set(1 << FIRST, FIRST);
        Sheet memory sheet = _sheetBy(FIRST);
        sheet.covers = 3;
        Transition memory again = Transition(one.caseId, otherRoot, one.step);
        world.assume(_signed(sheet, abi.encodePacked(_hash(one), _hash(again))));
        (Slot memory before, Slot memory standing) = (_slotOf(one.caseId), _slotOf(bystander));

        _settle(_list(one, again), _list(sheet));

        Slot memory afterwards = _slotOf(one.caseId);
        bool byOne = afterwards.commitment == _rolled(before, one);
        bool byAgain = afterwards.commitment == _rolled(before, again);
        bool once = both(uint256(afterwards.sequence) == uint256(before.sequence) + 1, either(byOne, byAgain));
        assert(either(_same(before, afterwards), once));
        assert(_same(standing, _slotOf(bystander)));
    }

    /// @dev I4 between batches: what settled once does not settle again, whenever and by whichever binding's terms.
    function check_settle__same_batch_again__nothing(Transition memory one, uint256 later) external {
        _terms.set(1 << FIRST, FIRST);
        Sheet memory sheet = _sheetBy(FIRST);
        Slot memory before = _slotOf(one.caseId);
        _settle(_list(one), _list(sheet));
        Slot memory settled = _slotOf(one.caseId);
        world.assume(!_same(before, settled));
        world.warp(later);

        _settle(_list(one), _list(sheet));

        assert(_same(settled, _slotOf(one.caseId)));
    }

    function _slotOf(CaseId id) private view returns (Slot memory slot) {
        (slot.status, slot.sequence, slot.binding, slot.commitment) = _ledger.caseOf(id);
    }

    function _settle(Transition[] memory transitions, Sheet[] memory sheets) private {
        _ledger.settle(transitions, sheets, new Head[](0));
    }

    /// @dev A sheet over the first transition that is valid for ever. Its seat is active, its signature a possible one.
    function _sheetBy(uint8 seat) private view returns (Sheet memory sheet) {
        sheet = Sheet(seat, type(uint64).max, 1, symbols.createBytes(65, "signature"));
        world.assume(_signers.signerOf(seat) != address(0));
    }

    /// @dev All but the signatures: I2, I3 and the sequence of I4.
    function _fits(Slot memory before, Transition memory one) private view returns (bool) {
        (uint256 from, uint256 to) = (uint256(before.status), _status(one));
        bool moves = both(both(to != 0, to <= uint256(type(Status).max)), follows(from, to & 7));
        // The Catalog counts its bindings from 1.
        bool known = both(_binding(one) != 0, _terms.isKnown(_binding(one)));
        bool begins = both(from == 0, _terms.isLive(_binding(one)));
        bool bound = either(begins, both(from != 0, before.binding == _binding(one)));
        bool inOrder = both(one.dossierRoot != 0, _sequence(one) == uint256(before.sequence) + 1);
        return both(both(moves, known), both(bound, inOrder));
    }

    /// @dev I1: whether the signatures are those that a move takes.
    function _enough(Transition memory one, bool byAll, bool byAny, bool byLead) private pure returns (bool) {
        uint256 to = _status(one);
        bool approved = both(to == uint256(Status.Approved), byAll);
        bool turnedDown = either(to == uint256(Status.Returned), to == uint256(Status.Refused));
        bool other = both(to != uint256(Status.Approved), both(!turnedDown, byLead));
        return either(approved, either(both(turnedDown, byAny), other));
    }

    function _signed(Sheet memory sheet, bytes memory covered) private view returns (bool) {
        bytes32 typeHash = keccak256(
            "Sheet(uint8 seat,uint64 validUntil,Transition[] transitions)Transition(bytes32 caseId,bytes32 dossierRoot,uint64 step)"
        );
        bytes32 structHash = keccak256(abi.encode(typeHash, sheet.seat, sheet.validUntil, keccak256(covered)));
        return signedBy(_signers.signerOf(sheet.seat), typed(address(_ledger), structHash), sheet.signature);
    }

    function _hash(Transition memory one) private pure returns (bytes32) {
        bytes32 typeHash = keccak256("Transition(bytes32 caseId,bytes32 dossierRoot,uint64 step)");
        return keccak256(abi.encode(typeHash, one.caseId, one.dossierRoot, one.step));
    }

    function _rolled(Slot memory before, Transition memory one) private pure returns (uint192) {
        return uint192(uint256(keccak256(abi.encode(before.commitment, one.step, one.dossierRoot))));
    }

    function _same(Slot memory one, Slot memory other) private pure returns (bool) {
        bool stands = both(one.status == other.status, one.sequence == other.sequence);
        return both(stands, both(one.binding == other.binding, one.commitment == other.commitment));
    }

    function _seat(uint8 choice) private pure returns (uint8) {
        return choice == 0 ? FIRST : choice == 1 ? SECOND : THIRD;
    }

    /// @dev A number from 0 to `most`, concrete on each path.
    function _small(uint256 number, uint256 most) private pure returns (uint256 small) {
        while (small < most && number != small) ++small;
    }

    function _list(Transition memory one) private pure returns (Transition[] memory list) {
        list = new Transition[](1);
        list[0] = one;
    }

    function _list(Transition memory one, Transition memory two) private pure returns (Transition[] memory list) {
        list = new Transition[](2);
        (list[0], list[1]) = (one, two);
    }

    function _list(Sheet memory one) private pure returns (Sheet[] memory list) {
        list = new Sheet[](1);
        list[0] = one;
    }

    function _status(Transition memory one) private pure returns (uint256) {
        return Step.unwrap(one.step) >> 56;
    }

    function _sequence(Transition memory one) private pure returns (uint16) {
        return uint16(Step.unwrap(one.step) >> 40);
    }

    function _binding(Transition memory one) private pure returns (uint40) {
        return uint40(Step.unwrap(one.step));
    }
}

/// @notice A ledger that tells its digests.
contract OpenLedger is CaseLedger {
    constructor() CaseLedger(IConsortium(address(0)), ICatalog(address(0))) { }

    function digest(bytes32 structHash) external view returns (bytes32) {
        return _hashTypedDataV4(structHash);
    }
}

/// @notice I4: a signature counts on one chain and for one contract only, also when a chain changes its number after the deployment.
contract DomainCheck {
    OpenLedger private _here;
    OpenLedger private _there;

    /// @dev Deployed on any chain: the tool does not relate the hash of known words to that of symbols.
    function setUp() public {
        world.chainId(symbols.createUint256("birthplace"));
        (_here, _there) = (new OpenLedger(), new OpenLedger());
    }

    function check_digest__any_chain__as_EIP_712_has_it(uint256 chain, bytes32 structHash) external {
        world.chainId(chain);
        assert(_here.digest(structHash) == typed(address(_here), structHash));
    }

    function check_digest__other_chain_contract_or_statement__other_digest(
        uint256 chain,
        uint256 other,
        bytes32 structHash,
        bytes32 otherStructHash,
        bool sameContract
    ) external {
        world.chainId(chain);
        bytes32 digest = _here.digest(structHash);
        world.chainId(other);
        bytes32 another = (sameContract ? _here : _there).digest(otherStructHash);
        bool same = both(both(chain == other, sameContract), structHash == otherStructHash);
        assert((digest == another) == same);
    }
}
