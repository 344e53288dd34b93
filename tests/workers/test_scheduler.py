"""The wave scheduler: draw order whatever ends first, little overshoot, a full engine, and what goes wrong."""

from collections.abc import Hashable

import numpy as np
import pytest

from firstlight.files.decoding import Decoding
from firstlight.files.task_file import InstanceSpec
from passuntil import FixedDraws, Tally, UntilPasses
from passuntil.rules import InstanceRule
from tests.simulated_engine import PASS, SimulatedEngine, SimulatedStream
from workers.engines.base import DrawRequest, EngineGarbage, EngineOutOfMemory, EngineRefusal, Wave
from workers.scheduler import IN_FLIGHT, LEAST_IN_FLIGHT, DrawnUnit, Progress, Scheduler

RULE = UntilPasses(10, floor=0, cap=10**5)


def unit(
    key: Hashable, name: str, rule: InstanceRule = RULE, *, drawn: int = 0, passes: int = 0
) -> DrawnUnit:
    return DrawnUnit(
        key, InstanceSpec(name, "?", PASS, "exact", max_tokens=200), rule, Decoding(), drawn, passes
    )


def run(scheduler: Scheduler) -> dict[Hashable, tuple[list[bool], list[Progress]]]:
    """Everything that came of the units, waves in the order in which they were handed on."""
    outcomes: dict[Hashable, tuple[list[bool], list[Progress]]] = {}
    while not scheduler.idle:
        for progress in scheduler.step():
            bits, steps = outcomes.setdefault(progress.key, ([], []))
            for wave in progress.waves:
                # the next one in draw order, nothing missing, nothing twice
                assert wave.first_draw == len(bits)
                bits.extend(wave.passed.tolist())
            steps.append(progress)
    return outcomes


def tallies(engine: SimulatedEngine, rule: UntilPasses, units: int) -> list[Tally]:
    scheduler = Scheduler(engine, clock=lambda: engine.now)
    scheduler.add(unit(k, f"u{k}", rule) for k in range(units))
    outcomes = run(scheduler)
    return [rule.settle(outcomes[k][0]) for k in range(units)]


def test_what_finishes_first_does_not_decide_what_counts() -> None:
    """Draws that pass take five times as long: counted as they end, p would come out far too low."""
    p, units = 0.2, 300
    engine = SimulatedEngine({f"u{k}": p for k in range(units)}, capacity=64, passes_are_long=True)
    unit_tallies = tallies(engine, UntilPasses(5, cap=10**4), units)
    values = np.array([tally.estimate() for tally in unit_tallies])
    assert abs(values.mean() - p) < 3.5 * values.std() / units**0.5
    assert all(tally.finished for tally in unit_tallies)


@pytest.mark.parametrize("capacity", [4, 64, 1000])
def test_a_repeatable_engine_counts_the_same_however_its_draws_are_cut(capacity: int) -> None:
    rates = {f"u{k}": p for k, p in enumerate((0.5, 0.1, 0.02, 0.004, 0.3, 0.05))}
    rule = UntilPasses(4, floor=16, cap=600)
    engine = SimulatedEngine(rates, capacity=capacity)
    expected = [rule.settle(engine.outcomes(name, 0, 600)[0]) for name in rates]
    assert tallies(engine, rule, len(rates)) == expected


@pytest.mark.parametrize("p", [0.3, 0.03, 0.003])
def test_the_engine_is_full_while_units_wait_and_little_is_drawn_in_vain(p: float) -> None:
    units, capacity = (300, 64) if p > 0.1 else (100, 64)
    engine = SimulatedEngine({f"u{k}": p for k in range(units)}, capacity=capacity, seed=2)
    scheduler = Scheduler(engine, clock=lambda: engine.now)
    scheduler.add(unit(k, f"u{k}") for k in range(units))
    drawn = counted = 0
    bits: dict[Hashable, list[bool]] = {}
    full = None
    while not scheduler.idle:
        for progress in scheduler.step():
            drawn += progress.given_up_draws + sum(wave.draws for wave in progress.waves)
            bits.setdefault(progress.key, []).extend(b for w in progress.waves for b in w.passed.tolist())
        if scheduler.hungry and full is None:
            full = engine.busy / (engine.now * capacity)
    counted = sum(RULE.settle(outcomes).draws for outcomes in bits.values())
    assert (drawn - counted) / drawn < 0.05
    assert full is not None
    assert full > 0.97


def test_no_more_is_in_flight_than_the_engine_can_use_and_one_wave() -> None:
    engine = SimulatedEngine({"a": 1e-9}, capacity=16)
    scheduler = Scheduler(engine)
    scheduler.add([unit("a", "a", FixedDraws(5000))])
    most = 0
    while not scheduler.idle:
        scheduler.step()
        most = max(most, scheduler.in_flight)
    assert 16 <= most <= 2 * IN_FLIGHT * 16


def test_a_unit_goes_on_from_its_counts_and_two_tasks_may_have_instances_of_one_name() -> None:
    engine = SimulatedEngine({"a": 0.2}, capacity=32)
    scheduler = Scheduler(engine)
    truth = engine.outcomes("a", 0, 400)[0]
    rule = FixedDraws(300)
    scheduler.add([unit(1, "a", rule), unit(2, "a", rule, drawn=100, passes=int(truth[:100].sum()))])
    waves: dict[Hashable, list[tuple[int, int]]] = {1: [], 2: []}
    while not scheduler.idle:
        for progress in scheduler.step():
            waves[progress.key] += [(wave.first_draw, wave.draws) for wave in progress.waves]
    assert waves[2][0][0] == 100
    assert [sum(draws for _, draws in waves[key]) for key in (1, 2)] == [300, 200]


def test_waves_in_flight_of_a_finished_unit_are_given_up_and_accounted_for() -> None:
    engine = SimulatedEngine({"a": 0.2, "b": 0.0}, capacity=8)
    scheduler = Scheduler(engine, grain=64)
    scheduler.add([unit("a", "a", UntilPasses(2, cap=1000)), unit("b", "b", FixedDraws(2000))])
    outcomes = run(scheduler)
    assert outcomes["a"][1][-1].finished
    assert len(outcomes["b"][0]) == 2000
    stream = SimulatedStream(engine)
    stream.submit("x", DrawRequest("a", "?", 0, 50, 0, (), 9))
    assert stream.abort(["x", "unknown"]) >= 0
    assert stream.collect() == []


def test_a_dropped_unit_comes_to_nothing_more() -> None:
    engine = SimulatedEngine({"a": 0.0, "b": 0.0}, capacity=8)
    scheduler = Scheduler(engine)
    scheduler.add([unit("a", "a", FixedDraws(500)), unit("b", "b", FixedDraws(100))])
    scheduler.step()
    scheduler.drop("a")
    assert {progress.key for _ in range(200) for progress in scheduler.step()} == {"b"}
    assert scheduler.idle
    assert scheduler.in_flight == 0


def test_without_filling_what_is_in_flight_is_waited_for_and_no_more_is_asked() -> None:
    engine = SimulatedEngine({"a": 0.0}, capacity=8)
    scheduler = Scheduler(engine)
    scheduler.add([unit("a", "a", FixedDraws(10_000))])
    scheduler.step()
    asked = len(engine.submitted)
    while scheduler.in_flight:
        scheduler.step(fill=False)
    assert len(engine.submitted) == asked
    assert not scheduler.idle
    assert scheduler.step(fill=False) == []


def test_out_of_memory_halves_what_is_in_flight_and_nothing_is_lost() -> None:
    rates = {"a": 0.1, "b": 0.01}
    engine = SimulatedEngine(rates, capacity=256, memory=100)
    rule = UntilPasses(5, cap=2000)
    scheduler = Scheduler(engine)
    scheduler.add(unit(name, name, rule) for name in rates)
    outcomes = run(scheduler)
    assert scheduler.most <= 100
    for name in rates:
        assert rule.settle(outcomes[name][0]) == rule.settle(engine.outcomes(name, 0, 2000)[0])


def test_out_of_memory_at_the_least_size_twice_in_a_row_is_the_end() -> None:
    engine = SimulatedEngine({"a": 0.1}, capacity=64, memory=1)
    scheduler = Scheduler(engine)
    scheduler.add([unit("a", "a")])
    with pytest.raises(EngineOutOfMemory):
        run(scheduler)
    assert scheduler.most == LEAST_IN_FLIGHT


class _Picky(SimulatedStream):
    def submit(self, key: Hashable, request: DrawRequest) -> None:
        if request.instance == "bad":
            raise EngineRefusal("too long")
        super().submit(key, request)


class _Short(SimulatedStream):
    def collect(self) -> list[tuple[Hashable, Wave]]:
        return [
            (key, Wave(wave.instance, wave.first_draw, wave.texts[1:], wave.tokens, wave.finish, 0.0))
            for key, wave in super().collect()
        ]


def test_a_refused_unit_leaves_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = SimulatedEngine({"a": 0.5, "bad": 0.5}, capacity=16)
    monkeypatch.setattr(engine, "stream", lambda: _Picky(engine))
    scheduler = Scheduler(engine)
    scheduler.add([unit("bad", "bad"), unit("a", "a")])
    outcomes = run(scheduler)
    assert [progress.refused for progress in outcomes["bad"][1]] == ["too long"]
    assert outcomes["a"][1][-1].finished


def test_a_unit_that_no_grader_can_judge_is_refused_before_a_draw_and_leaves_alone() -> None:
    engine = SimulatedEngine({"a": 0.5, "bad": 0.5}, capacity=16)
    scheduler = Scheduler(engine)
    bad = DrawnUnit("bad", InstanceSpec("bad", "?", "(?=a)b", "regex"), RULE, Decoding())
    scheduler.add([bad, unit("a", "a")])
    outcomes = run(scheduler)
    [progress] = outcomes["bad"][1]
    assert "RE2 has no lookahead" in progress.refused
    assert {request.instance for request in engine.submitted} == {"a"}
    assert outcomes["a"][1][-1].finished


def test_garbage_stops_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = SimulatedEngine({"a": 0.5}, capacity=16)
    monkeypatch.setattr(engine, "stream", lambda: _Short(engine))
    scheduler = Scheduler(engine)
    scheduler.add([unit("a", "a")])
    with pytest.raises(EngineGarbage, match="asked for"):
        run(scheduler)


def test_requests_are_rounded_up_to_the_grain_and_never_beyond_the_rule() -> None:
    engine = SimulatedEngine({"a": 0.3}, capacity=256)
    scheduler = Scheduler(engine, grain=64)
    scheduler.add([unit("a", "a", UntilPasses(2, cap=100))])
    run(scheduler)
    assert engine.submitted[0].draws == 64
    assert sum(request.draws for request in engine.submitted) <= 100


def test_the_devices_time_is_shared_out_in_full() -> None:
    engine = SimulatedEngine({f"u{k}": 0.1 for k in range(20)}, capacity=32)
    scheduler = Scheduler(engine, clock=lambda: engine.now)
    scheduler.add(unit(k, f"u{k}", FixedDraws(200)) for k in range(20))
    outcomes = run(scheduler)
    seconds = sum(wave.seconds for _, steps in outcomes.values() for step in steps for wave in step.waves)
    assert seconds == pytest.approx(engine.now)
