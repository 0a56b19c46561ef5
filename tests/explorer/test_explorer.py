"""The explorer finds nothing wrong, and finds each bug that is planted."""

from functools import cache

import pytest

from .explore import PLANS, Explored, Plan, explore
from .world import OUTCOMES, Bug, Setting


@cache
def explored(plan: Plan) -> Explored:
    return explore(plan.setting, plan.depth, plan.troubles)


# A minute of pure computing, which on a busy machine may take some.
@pytest.mark.timeout(600)
@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.name)
def test_no_promise_is_broken(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    found = explored(plan)
    with capsys.disabled():
        print(f"\n{plan.name}: {found}")
    assert found.violation is None, str(found.violation)
    assert found.states > 1_000


PLANTED = {
    Bug.NO_TOKEN: ("was not that run's", Setting(jobs=1)),
    Bug.NO_UNCANCELLED: ("waits to be started again", Setting(jobs=1)),
    Bug.NO_LAPSED: ("taken away from a worker whose lease lives", Setting(jobs=1)),
    Bug.NO_DEADLINE: ("expired that had no deadline", Setting(jobs=1, deadline=True)),
    Bug.RESCUE_KEEPS_TOKEN: ("nothing of that run was written", Setting(jobs=1)),
    Bug.OUTCOME_FORGOTTEN: ("was called lost", Setting(jobs=1)),
    Bug.CLAIM_FORGOTTEN: ("never ends", Setting(jobs=1)),
    Bug.KEY_NOT_TAKEN: ("under one unique key", Setting(keyed=True)),
    Bug.RETRY_KEEPS_END: ("it would be purged", Setting(jobs=1)),
    Bug.OLDER_FORGOTTEN: ("never ends", Setting(in_flight=2)),
    Bug.OLDER_SETS_BACK: ("never ends", Setting(in_flight=2)),
    Bug.ANSWER_TAKEN_TWICE: ("is run twice", Setting(in_flight=2)),
}


@pytest.mark.parametrize("bug", Bug)
def test_a_planted_bug_is_found(bug: Bug) -> None:
    promise, setting = PLANTED[bug]
    found = explore(setting._replace(bug=bug), depth=9)
    assert found.violation is not None, found
    assert promise in found.violation.promise
    print(found.violation)


@pytest.mark.parametrize("bug", [Bug.OLDER_FORGOTTEN, Bug.OLDER_SETS_BACK])
def test_some_are_found_only_with_two_claims_in_flight(bug: Bug) -> None:
    found = explore(Setting(bug=bug), depth=6)
    assert found.violation is None, str(found.violation)
    assert found.states > 1_000


@pytest.mark.timeout(600)
def test_every_letter_meets_every_answer() -> None:
    """So that no promise is kept only because nothing happens."""
    wanted = {(event, answer) for event in OUTCOMES for answer in ("written", "told before", "stale")}
    wanted |= {(event, answer) for event in ("cancel", "retry", "rescue", "expire") for answer in ("written", "stale")}
    met = {meeting for plan in PLANS for meeting in explored(plan).met}
    assert met >= wanted, wanted - met
