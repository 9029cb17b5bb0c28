"""What is freed as soon as nothing refers to it, without the garbage collector."""

from __future__ import annotations

import contextlib
import gc
import weakref


@contextlib.contextmanager
def uncollected():
    """Run what is inside without the garbage collector: what it alone would free stays."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def error_of(call, kind):
    """Make a call that fails, and return a weak reference to its error."""
    try:
        call()
    except kind as error:
        return weakref.ref(error)
    raise AssertionError("no error")
