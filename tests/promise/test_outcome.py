"""How an outcome arrives: once, for everybody, and never in the wrong process."""

from __future__ import annotations

import os
import threading

import pytest

from wechatpay.errors import NoResponseError
from wechatpay.promise.outcome import Outcome, fulfilled, rejected


def test_outcome_is_settled_once():
    """The first settlement counts."""
    outcome = Outcome()

    assert (True, False) == (outcome.settle(fulfilled(1)), outcome.settle(fulfilled(2)))
    assert 1 == outcome.take()


def test_listeners_are_called_once_before_and_after():
    """Whoever comes late is called at once; whoever has left is not called."""
    outcome, calls = Outcome(), []
    outcome.listen(lambda: calls.append("early"))
    with outcome.listening(lambda: calls.append("gone")):
        pass
    outcome.settle(fulfilled(1))
    outcome.listen(lambda: calls.append("late"))

    assert ["early", "late"] == calls


def test_many_threads_settle_and_listen_at_once():
    """One settlement wins and each listener is called exactly once."""
    for _ in range(50):
        outcome, calls, news, start = Outcome(), [], [], threading.Barrier(8)

        def work(n, outcome=outcome, calls=calls, news=news, start=start):
            start.wait()
            if n % 2:
                outcome.listen(lambda: calls.append(n))
            elif outcome.settle(fulfilled(n)):
                news.append(n)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert [1, 3, 5, 7] == sorted(calls)
        assert [outcome.take()] == news


def test_begun_work_is_not_withdrawn():
    """Once it has begun, only its end settles it."""
    outcome = Outcome()

    assert outcome.begin()
    assert not outcome.settle(fulfilled("withdrawn"), unless_begun=True)
    assert outcome.settle(fulfilled("done"))
    assert not outcome.begin()


def test_inherited_outcome_has_failed_even_if_its_lock_is_held_for_ever(monkeypatch):
    """The thread that held the lock while the process forked does not exist in the child."""
    outcome, calls = Outcome(), []
    outcome._lock.acquire()
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with outcome.listening(lambda: calls.append(1)):
        pass

    assert [1] == calls
    assert not outcome.settle(fulfilled(1))
    with pytest.raises(NoResponseError, match="before fork"):
        outcome.take()


def test_inherited_error_is_reported_by_the_parent_only(monkeypatch):
    """One error, one report, however many processes."""
    outcome = Outcome()
    outcome.settle(rejected(ValueError("lost")))

    assert "lost" == str(outcome.unseen())
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert outcome.unseen() is None
