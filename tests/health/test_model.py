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
from tests.fakes import SimulatedClock, SimulatedLoop, undisturbed
from tests.health.helpers import check, make_monitor
from tests.health.model import Attempt, Fate, Model


ANSWERS, SLOW, REFUSED, HANGS = Fate(0), Fate(0.35), Fate(0.1, "error"), Fate()
TIDIES, STUBBORN, FROZEN = Fate(tidies=CANCEL_GRACE / 2), Fate(tidies=4), Fate(tidies=30)
FATES = [ANSWERS, ANSWERS, SLOW, REFUSED, REFUSED, HANGS, TIDIES, STUBBORN, FROZEN]

# Things happen on multiples of the one, and are looked at the other later, when nothing happens.
TICK, AFTERWARDS, SOON = 0.25, 0.013, 1e-6


async def elapse(seconds: float) -> None:
    """Let time pass, and then everything that is due."""
    await asyncio.sleep(seconds)
    for _ in range(40):
        await asyncio.sleep(0)


class Story(RuleBasedStateMachine):
    """A dependency, a clock and tasks with which anything may happen in any order."""

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
        self.script, self.attempts, self.heard, self.killed = [ANSWERS], list[Attempt](), 0, False
        self.model = Model(self.check)
        self.loop = SimulatedLoop()
        self.runner = asyncio.Runner(loop_factory=lambda: self.loop)
        self.clock = SimulatedClock(self.runner.get_loop())
        self.monitor = make_monitor(self.check, clock=self.clock, jitter=jitter)
        self.runner.run(self.monitor.__aenter__())

    async def probe(self) -> None:
        """Meet the next fate of the script, or once more the last."""
        task = asyncio.current_task()
        assert task
        fate = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        attempt = Attempt(self.check, fate, self.loop.time(), task, slept=self.clock.slept)
        self.attempts.append(attempt)
        try:
            await asyncio.sleep(attempt.fate.takes)
        except asyncio.CancelledError:
            await undisturbed(attempt.fate.tidies)
            if attempt.fate.tidies:  # as drivers do that swallow their cancellation
                return
            raise
        if attempt.fate.reason:
            raise OSError

    @rule(script=st.lists(st.sampled_from(FATES), min_size=1, max_size=6), ticks=st.integers(1, 20))
    def the_dependency_acts(self, script: list[Fate], ticks: int) -> None:
        self.script = [*script]
        for _ in range(ticks):
            self.the_answer_is_that_of_the_model()

    @rule(seconds=st.sampled_from([-3600, 3600]))
    def the_wall_clock_is_set(self, seconds: float) -> None:
        self.clock.stepped += seconds

    @rule(seconds=st.sampled_from([0.3, 2, 3600]))
    def the_machine_sleeps(self, seconds: float) -> None:
        self.clock.slept += seconds

    @precondition(lambda self: self.attempts[-1].under_way and self.attempts[-1].fate != TIDIES)
    @rule()
    def somebody_cancels_the_attempt(self) -> None:
        self.attempts[-1].cut = self.loop.time()
        self.attempts[-1].task.cancel()

    @precondition(lambda self: len(self.attempts) > 5 and not self.killed)
    @rule()
    def somebody_kills_the_watch(self) -> None:
        self.killed = True
        for task in asyncio.all_tasks(self.loop) - {attempt.task for attempt in self.attempts}:
            task.cancel()

    @invariant()
    def the_answer_is_that_of_the_model(self) -> None:
        self.pass_time(AFTERWARDS)
        (known,) = self.monitor.report().checks
        answer = known.status.word, known.reason or "", known.failures
        assert answer == self.model.look(self.loop.time() + self.clock.slept)
        self.attempts_keep_to_the_schedule()
        self.pass_time(TICK - AFTERWARDS)

    def attempts_keep_to_the_schedule(self) -> None:
        *earlier, last = self.attempts
        assert self.killed or self.loop.time() < last.next_between(earlier)[1] + SOON
        if earlier and not self.clock.slept:
            assert last.begun > earlier[-1].next_between(earlier[:-1])[0] - SOON
        assert sum(not attempt.task.done() for attempt in self.attempts) <= 3

    def pass_time(self, seconds: float) -> None:
        """Let time pass, and what is due at the end of it happen, and tell the model."""
        self.loop.run_until_complete(elapse(seconds))
        while not self.killed and self.heard < len(self.attempts):
            reason, at = self.attempts[self.heard].result
            if at > self.loop.time() + SOON:
                break
            self.model.hear(reason, self.attempts[self.heard].vouches_for(self.clock.slept))
            self.heard += 1

    def teardown(self) -> None:
        self.runner.run(self.monitor.__aexit__(None, None, None))
        self.runner.close()


def test_no_sequence_of_events_gets_another_answer_than_the_model() -> None:
    """Results, hangs, clocks that step and leap, and cancellations, in any order."""
    run_state_machine_as_test(
        Story,
        settings=settings(
            derandomize=True,
            database=None,
            deadline=None,
            max_examples=80,
            stateful_step_count=20,
        ),
    )
