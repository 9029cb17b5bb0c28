"""A secret is shown nowhere, and an error that concerns it leaves no frame that holds it."""

from __future__ import annotations

import contextlib
import pickle
import traceback
import weakref

import pytest
from references import uncollected

from wechatpay.secret import Secret


def refuse(value, reason):
    """Fail as a loader does, with the value in a local variable and a cause behind the error."""
    try:
        int(value)
    except ValueError:
        raise ValueError(reason)  # noqa: B904  an error with a context is what is tested


def test_secret_is_not_shown():
    """Neither `repr`, `str` nor a pickle contain it."""
    secret = Secret("s3cr3t")

    assert "s3cr3t" == secret.reveal()
    assert "s3cr3t" not in f"{secret!r}{secret}{[secret]}"
    with pytest.raises(TypeError, match="does not pickle"):
        pickle.dumps(secret)


def test_function_gets_the_secret_and_its_arguments():
    """`pass_to` calls the function as the caller would."""
    assert ("s3cr3t", 1, 2) == Secret("s3cr3t").pass_to(lambda value, a, *, b: (value, a, b), 1, b=2)


def test_error_of_a_function_frees_the_secret_with_it():
    """No reference cycle keeps a key in memory."""
    secret = Secret({"s3cr3t"})
    freed = weakref.ref(secret.reveal())
    with uncollected():
        with contextlib.suppress(TypeError):
            secret.pass_to(refuse, "no number")
        del secret

        assert freed() is None


def test_error_of_a_function_loses_the_frames_that_hold_the_secret():
    """The error is the function's own; its traceback, local variables included, shows no secret."""
    with pytest.raises(ValueError, match="too short") as caught:
        Secret("s3cr3t").pass_to(refuse, "too short")
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)

    assert caught.value.__context__ is None
    assert "'s3cr3t'" not in "".join(line for line in shown.format() if "Secret(" not in line)
