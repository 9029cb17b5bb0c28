"""When WeChat Pay is asked, by an injected clock."""

from __future__ import annotations

import pytest

from wechatpay.apiv3.certificate_refresher import Schedule


class Clock:
    """A clock that stands until it is set."""

    def __init__(self):
        self.now = 1_000_000.0

    def __call__(self):
        """Tell the time."""
        return self.now


@pytest.fixture
def clock():
    """Give a clock."""
    return Clock()


@pytest.fixture
def schedule(clock):
    """Give a schedule without jitter."""
    return Schedule(clock, lambda: 0.0)


def test_nothing_is_due_before_the_first_download(schedule):
    """Who never downloaded anything, having keys of their own, is never made to."""
    assert not schedule.is_due()


@pytest.mark.parametrize(("chance", "seconds"), [(0.0, 12 * 3600), (1.0, 11.5 * 3600)], ids=["late", "early"])
def test_download_is_due_after_twelve_hours_or_a_little_earlier(clock, chance, seconds):
    """Workers that began together do not all ask together."""
    schedule = Schedule(clock, lambda: chance)
    schedule.succeed(clock.now)
    clock.now += seconds - 1
    assert not schedule.is_due()
    clock.now += 1

    assert schedule.is_due()


def test_age_counts_from_when_the_list_was_signed(schedule, clock):
    """A list that another worker downloaded is as old as it is."""
    schedule.succeed(clock.now - 12 * 3600)

    assert schedule.is_due()


def test_clock_behind_that_of_wechat_pay_makes_nothing_due(schedule, clock):
    """A list that was signed in our future is fresh."""
    schedule.succeed(clock.now + 250)

    assert not schedule.is_due()


def test_unknown_serials_are_sought_once_a_minute(schedule, clock):
    """However many serial numbers are made up, one download a minute is all they cause."""
    assert schedule.take_fetch()
    assert not any(schedule.take_fetch() for _ in range(1000))
    clock.now += 59.9
    assert not schedule.take_fetch()
    clock.now += 0.2

    assert schedule.take_fetch()


def test_first_download_leaves_the_budget_alone(schedule, clock):
    """A key that is rotated right after the first download is found at once."""
    schedule.succeed(clock.now)

    assert schedule.take_fetch()


@pytest.mark.parametrize(
    ("failures", "seconds"), [(1, 60), (2, 120), (3, 240), (4, 480), (5, 600), (100, 600)]
)
def test_refreshes_back_off(schedule, clock, failures, seconds):
    """An outage is not hammered at: a minute, two, four, at most ten."""
    schedule.succeed(clock.now - 13 * 3600)
    for _ in range(failures):
        schedule.fail()
    clock.now += seconds - 0.1
    assert not schedule.is_due()
    assert not schedule.take_fetch()
    clock.now += 0.2

    assert schedule.is_due()
    assert schedule.take_fetch()


@pytest.mark.parametrize(("failures", "seconds"), [(1, 1), (2, 2), (6, 32), (7, 60), (100, 60)])
def test_first_download_is_tried_again_soon(schedule, clock, failures, seconds):
    """Where no call can be made without a key, the pauses are short."""
    assert schedule.allows_first()
    for _ in range(failures):
        schedule.fail()
    clock.now += seconds - 0.1
    assert not schedule.allows_first()
    clock.now += 0.2

    assert schedule.allows_first()


def test_success_ends_backing_off(schedule, clock):
    """After a success the next failure is the first."""
    for _ in range(9):
        schedule.fail()
    schedule.succeed(clock.now)
    schedule.fail()
    clock.now += 61

    assert schedule.take_fetch()


def test_clock_that_is_set_back_blocks_nothing(schedule, clock):
    """A wrong clock that was put right does not keep keys away for years."""
    schedule.succeed(clock.now)
    schedule.take_fetch()
    schedule.fail()
    clock.now -= 10_000

    assert schedule.take_fetch()
    assert schedule.allows_first()
    assert schedule.is_due()
