// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IArbiter} from "settlement/interfaces/IArbiter.sol";
import {Arbiter} from "settlement/Arbiter.sol";
import {AssetRegistry} from "settlement/AssetRegistry.sol";
import {AttributionPool} from "settlement/AttributionPool.sol";
import {OpenToken} from "settlement/OpenToken.sol";
import {WorkerStake} from "settlement/WorkerStake.sol";
import {CourtPlay} from "./CourtPlay.sol";
import {World} from "./World.sol";

/// @title Whatever is accused, ordered, challenged, proven, appealed and judged, in whatever order.
/// @dev In words, each checked after every call, by the play (P) or here (H):
/// - coins: every coin that went into stake and bonds is still there, has come back, was paid to whom it
///   was due, or is burnt; the Arbiter keeps none, FraudProofs the bonds of open demands (H);
/// - stake: what each operator has bonded, locked and unbonding is what the cases, proofs and units took
///   from it, so nobody pays for another's case, and no lock opens twice (H);
/// - a case takes at most what was locked under its unit (P);
/// - a slash acts after its appeal time, or by the verdict of the jury above; never while a jury sits (P, H);
/// - a verdict needs more than half of the revealed votes and a third of the seats of a panel that was
///   drawn in full view of a seed that is never zero; a panel without one takes nothing from the accused,
///   and of a challenger only what jurors who came still lack (P);
/// - only a seat of the panel that stayed away is punished for it, and no party has a seat (P);
/// - the court voids, and does nothing else to the pool: no root, no claim, no coin (P);
/// - a frozen epoch stops no claim on the last good root, and waits exactly while its first jury sits (P, H);
/// - what is false is voided by its proof, each of its signers pays each time, what is true by none (P).
contract CourtInvariantsTest is World {
    CourtPlay private _play;
    Arbiter private _arbiter;
    AssetRegistry private _registry;
    AttributionPool private _pool;
    OpenToken private _token;
    WorkerStake private _stake;
    uint256 private _supply;

    function setUp() public {
        _play = new CourtPlay();
        deployedBefore();
        _arbiter = Arbiter(place("Arbiter"));
        _registry = AssetRegistry(place("AssetRegistry"));
        _pool = AttributionPool(place("AttributionPool"));
        _token = OpenToken(place("OpenToken"));
        _stake = WorkerStake(place("WorkerStake"));
        _supply = _token.totalSupply();
    }

    /// @dev Forge calls this contract's functions only.
    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_play);
    }

    /// @dev The play does all that it is for; seeded, so that it is the same every time.
    function test_the_play_reaches_everything() public {
        for (uint256 i = 0; i < 8_000; ++i) {
            uint256 a = uint256(keccak256(abi.encode("a", i)));
            uint256 b = uint256(keccak256(abi.encode("b", i)));
            uint256 c = uint256(keccak256(abi.encode("c", i)));
            _step(i % 24, a, b, c);
            if (i % 16 == 0) _holds();
        }
        string[75] memory things = [
            "anchor",
            "slashed unit",
            "held",
            "settle",
            "unbond",
            "withdraw",
            "commit",
            "false commit",
            "commit again",
            "claim",
            "claim while frozen",
            "decrease",
            "wrong owner",
            "wrong sum",
            "omission",
            "stranger",
            "no fraud",
            "demand",
            "answer",
            "unopened",
            "bond back",
            "accuse",
            "release",
            "order",
            "order against an accuser",
            "challenge",
            "challenge at a doubled bond",
            "appeal",
            "appeal to a second jury",
            "too early",
            "execute",
            "seed moved",
            "drawn",
            "voided",
            "hung",
            "in vain",
            "upheld",
            "missing juror",
            "fallback",
            "false fallback",
            "fallback again",
            "fallback condemned",
            "fallback on trial",
            "proven before the jury",
            "challenge of an epoch committed again",
            "all enlist",
            "nearly all leave",
            "payout moves",
            "payout moves later",
            "too few seats",
            "votes of too few seats",
            "too few seats agree",
            "drawn juror had left",
            "missing juror who had left",
            "a juror unbonds while it sits",
            "a juror withdraws while it sits",
            "a juror's payout moves while it sits",
            "a juror's payout moves before the draw",
            "a party's payout moves before the draw",
            "kept out by a payout",
            "seed in its last block",
            "seed a block too late",
            "seed moved again",
            "tie",
            "no side above half",
            "half of the votes, not a third of the seats",
            "voided after the proof",
            "not voided after the proof",
            "order confirmed",
            "order hung",
            "order overturned",
            "void confirmed",
            "void hung",
            "void overturned",
            "a judge appeals and is overturned"
        ];
        string memory missed = "";
        for (uint256 i = 0; i < things.length; ++i) {
            if (_play.did(things[i]) == 0) missed = string.concat(missed, " ", things[i]);
        }
        check(bytes(missed).length == 0, missed);
    }

    /// @dev One campaign of calls for all.
    /// forge-config: nightly.invariant.runs = 200
    function invariant_court() public view {
        _holds();
    }

    function _step(uint256 kind, uint256 a, uint256 b, uint256 c) private {
        if (kind == 10) _play.do_commitAgain();
        if (kind == 0 || kind == 10) _play.do_commit(a, b, c);
        if (kind == 1) _play.do_work(a, b);
        if (kind == 2) _play.do_accuse(a % 2, b);
        if (kind == 3) _play.do_order(a % 3, b, c);
        if (kind == 12) _play.do_challenge(a);
        if (kind == 5 || kind == 8 || kind == 13 || kind == 16) _play.do_sit(a, b);
        if (kind == 4 || kind == 9 || kind == 14) _play.do_appeal(a, b);
        if (kind == 3) _play.do_appeal(a | 1, b);
        if (kind == 6 || kind == 17 || kind > 20) _play.do_goOn(a, b, c);
        if (kind == 7) _play.do_execute(a);
        if (kind == 9 || kind == 13 || kind == 19) _play.do_claim(a);
        if (kind == 11) _play.do_endUnit(a);
        if (kind == 14) _play.do_demand(a);
        if (kind == 15 && a % 2 == 0) _play.do_answer(b % 2);
        if (kind == 15 && a % 2 == 1) _play.do_close(b % 3);
        if (kind == 17) _play.do_wait(12);
        if (kind == 18 && a % 3 == 0) _play.do_prove(b);
        if (kind == 18 && a % 3 == 1) _play.do_release(b);
        if (kind == 18 && a % 3 == 2) _play.do_deposit(b, c);
        if (kind == 19 && a % 2 == 0) _play.do_unbond(b, c);
        if (kind == 19 && a % 2 == 1) _play.do_withdraw(b);
        if (kind == 20) _play.do_enlist(b, a >> 8);
        if (kind == 21) _play.do_movePayout(b, a, c);
        if (kind == 22 && a % 3 == 0) _play.do_commitFallback(b, c, a >> 8);
        if (kind == 23) _play.do_deposit(b, c);
    }

    function _holds() private view {
        _stakeIsWhatWasBooked();
        _coinsAreWhereTheyBelong();
        _casesStandAsTheClockSays();
    }

    function _stakeIsWhatWasBooked() private view {
        uint256 held = 0;
        for (uint256 i = 0; i < _play.STAKERS(); ++i) {
            address operator = _play.operatorAt(i);
            (uint256 bonded, uint256 locked, uint256 unbonding, ) = _play.holdings(operator);
            (uint256 leaving, ) = _stake.unbondingOf(operator);
            check(_stake.stakeOf(operator) == bonded, "bonded");
            check(_stake.lockedOf(operator) == locked, "locked");
            check(leaving == unbonding, "unbonding");
            check(locked <= bonded, "locked <= bonded");
            check(_registry.payoutOfOperator(operator) == _play.payoutOf(operator), "payouts");
            held += bonded + unbonding;
        }
        check(_token.balanceOf(address(_stake)) == held, "the stake's coins are the operators'");
    }

    function _coinsAreWhereTheyBelong() private view {
        for (uint256 i = 1; i < 20; ++i) {
            check(_token.balanceOf(account(i)) == _play.coins(account(i)), "what was paid to whom");
        }
        check(_supply - _token.totalSupply() == _play.burnt(), "what was burnt");
        check(_token.balanceOf(address(_arbiter)) == 0, "the Arbiter keeps nothing");
        uint256 bonds = _play.openDemands() * _play.proofs().openingBond();
        check(_token.balanceOf(address(_play.proofs())) == bonds, "the bonds of open demands");
    }

    function _casesStandAsTheClockSays() private view {
        uint256 count = _play.caseCount();
        for (uint256 i = count < 6 ? 0 : count - 6; i < count; ++i) _stands(_play.cases(i));
        (bool verdict, bool draws) = _pool.waits(bytes32(0));
        check(verdict == (_play.epochOnTrial() != 0), "an epoch waits exactly while its first jury sits");
        check(!draws, "no draws are left behind");
    }

    function _stands(bytes32 id) private view {
        (IArbiter.Kind kind, IArbiter.Stage stage, bytes32 subject, bool slashed) = _play.trialOf(id);
        (, IArbiter.Stage said, , , , , address[] memory accused) = _arbiter.caseOf(id);
        check(said == stage, "the stage of a case");
        bytes32 unit = kind == IArbiter.Kind.Order ? subject : id;
        for (uint256 i = 0; i < accused.length; ++i) {
            check(_stake.isSlashed(accused[i], unit) == slashed, "slashed after its end, or never");
        }
    }
}
