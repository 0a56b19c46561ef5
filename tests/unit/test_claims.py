"""The numbers of a worker's claims, when answers come, come late, or are lost."""

from async_job.worker.claims import Claims


def test_each_claim_has_the_next_number() -> None:
    claims = Claims()
    for n in (1, 2, 3):
        assert claims.next(4) == (n, 4)
        claims.settle(n)
    assert claims.answered == 3


def test_without_room_there_is_none() -> None:
    assert Claims().next(0) is None


def test_what_was_asked_for_and_not_answered_is_taken_for_given() -> None:
    claims = Claims()
    claims.next(4)
    claims.next(3)
    assert (claims.asked_for, claims.under_way, claims.answered) == (7, True, 0)
    claims.settle(1)
    assert (claims.asked_for, claims.under_way, claims.answered) == (3, True, 1)


def test_there_are_never_more_than_two_without_an_answer() -> None:
    claims = Claims()
    claims.next(1)
    claims.next(1)
    assert claims.next(1) is None
    claims.settle(2)
    # The first is still open, and the third would be two ahead of it.
    assert claims.next(1) is None
    claims.settle(1)
    assert claims.next(1) == (3, 1)


def test_one_that_failed_is_made_again_as_it_was_before_any_other_and_without_room() -> None:
    claims = Claims()
    claims.next(4)
    claims.next(3)
    claims.fail(2)
    claims.fail(1)
    assert (claims.under_way, claims.asked_for) == (False, 7)
    assert claims.next(0) == (1, 4)
    assert claims.next(9) == (2, 3)
    assert claims.answered == 0
    claims.settle(1)
    claims.settle(2)
    assert claims.next(9) == (3, 9)
