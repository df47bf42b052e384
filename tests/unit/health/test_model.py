import asyncio

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from app.health.monitor import CANCEL_GRACE
from tests.support.fakes import SimulatedClock, SimulatedLoop, undisturbed
from tests.unit.health.helpers import check, make_monitor
from tests.unit.health.model import Attempt, Behavior, Model


ANSWERS, SLOW, REFUSED, HANGS = Behavior(0), Behavior(0.35), Behavior(0.1, "error"), Behavior()
CLEANS_UP, STUBBORN, FROZEN = (
    Behavior(cleanup=CANCEL_GRACE / 2),
    Behavior(cleanup=4),
    Behavior(cleanup=30),
)
BEHAVIORS = [ANSWERS, ANSWERS, SLOW, REFUSED, REFUSED, HANGS, CLEANS_UP, STUBBORN, FROZEN]

# Seconds. Events happen at multiples of TICK; the answer is checked CHECK_DELAY later.
TICK, CHECK_DELAY, TOLERANCE = 0.25, 0.013, 1e-6


async def elapse(seconds: float) -> None:
    """Let time pass, and then run everything that is due."""
    await asyncio.sleep(seconds)
    for _ in range(40):
        await asyncio.sleep(0)


class MonitorMachine(RuleBasedStateMachine):
    """A monitor whose dependency, clock and tasks are disturbed in any order."""

    @initialize(
        interval=st.sampled_from([0.5, 1, 2]),
        timeout=st.sampled_from([0.5, 1, 2.25]),
        thresholds=st.tuples(st.integers(1, 3), st.integers(1, 3)),
        jitter=st.sampled_from([0, 0.5]),
    )
    def begin(
        self, interval: float, timeout: float, thresholds: tuple[int, int], jitter: float
    ) -> None:
        self.check = check(
            self.probe,
            interval=interval,
            timeout=timeout,
            failure_threshold=thresholds[0],
            success_threshold=thresholds[1],
        )
        self.script, self.attempts, self.counted, self.killed = [ANSWERS], list[Attempt](), 0, False
        self.model = Model(self.check)
        self.loop = SimulatedLoop()
        self.runner = asyncio.Runner(loop_factory=lambda: self.loop)
        self.clock = SimulatedClock(self.runner.get_loop())
        self.monitor = make_monitor(self.check, clock=self.clock, jitter=jitter)
        self.runner.run(self.monitor.__aenter__())

    async def probe(self) -> None:
        """Behave as the script says next; its last behavior is repeated."""
        task = asyncio.current_task()
        assert task
        behavior = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        attempt = Attempt(self.check, behavior, self.loop.time(), task, slept=self.clock.slept)
        self.attempts.append(attempt)
        try:
            await asyncio.sleep(attempt.behavior.takes)
        except asyncio.CancelledError:
            await undisturbed(attempt.behavior.cleanup)
            if attempt.behavior.cleanup:  # as drivers do that suppress CancelledError
                return
            raise
        if attempt.behavior.reason:
            raise OSError

    @rule(
        script=st.lists(st.sampled_from(BEHAVIORS), min_size=1, max_size=6),
        ticks=st.integers(1, 20),
    )
    def the_dependency_acts(self, script: list[Behavior], ticks: int) -> None:
        self.script = [*script]
        for _ in range(ticks):
            self.the_monitor_agrees_with_the_model()

    @rule(seconds=st.sampled_from([-3600, 3600]))
    def the_wall_clock_is_set(self, seconds: float) -> None:
        self.clock.stepped += seconds

    @rule(seconds=st.sampled_from([0.3, 2, 3600]))
    def the_machine_is_suspended(self, seconds: float) -> None:
        self.clock.slept += seconds

    @precondition(
        lambda self: self.attempts[-1].is_running and self.attempts[-1].behavior != CLEANS_UP
    )
    @rule()
    def other_code_cancels_the_attempt(self) -> None:
        self.attempts[-1].cancelled_at = self.loop.time()
        self.attempts[-1].task.cancel()

    @precondition(lambda self: len(self.attempts) > 5 and not self.killed)
    @rule()
    def other_code_cancels_the_runner(self) -> None:
        self.killed = True
        for task in asyncio.all_tasks(self.loop) - {attempt.task for attempt in self.attempts}:
            task.cancel()

    @invariant()
    def the_monitor_agrees_with_the_model(self) -> None:
        self.pass_time(CHECK_DELAY)
        (known,) = self.monitor.report().checks
        answer = known.status.word, known.reason or "", known.failures
        assert answer == self.model.state(self.loop.time() + self.clock.slept)
        self.attempts_keep_to_the_schedule()
        self.pass_time(TICK - CHECK_DELAY)

    def attempts_keep_to_the_schedule(self) -> None:
        *earlier, last = self.attempts
        assert self.killed or self.loop.time() < last.next_between(earlier)[1] + TOLERANCE
        if earlier and not self.clock.slept:
            assert last.begun > earlier[-1].next_between(earlier[:-1])[0] - TOLERANCE
        assert sum(not attempt.task.done() for attempt in self.attempts) <= 3

    def pass_time(self, seconds: float) -> None:
        """Let time pass, run what is due at the end of it, and add new results to the model."""
        self.loop.run_until_complete(elapse(seconds))
        while not self.killed and self.counted < len(self.attempts):
            reason, at = self.attempts[self.counted].result
            if at > self.loop.time() + TOLERANCE:
                break
            self.model.add(reason, self.attempts[self.counted].result_time(self.clock.slept))
            self.counted += 1

    def teardown(self) -> None:
        self.runner.run(self.monitor.__aexit__(None, None, None))
        self.runner.close()


def test_the_monitor_agrees_with_the_model_for_any_sequence_of_events() -> None:
    """Results, hangs, clocks that are set, suspension and cancellation, in any order."""
    run_state_machine_as_test(
        MonitorMachine,
        settings=settings(
            derandomize=True,
            database=None,
            deadline=None,
            max_examples=80,
            stateful_step_count=20,
        ),
    )
