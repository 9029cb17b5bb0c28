"""Exceptions from outside, as a timer or Ctrl-C raises them, at every line of some files."""

from __future__ import annotations

import contextlib
import sys
import traceback


@contextlib.contextmanager
def traced(function):
    """Trace what runs inside; what traced before, such as coverage, goes on after it."""
    previous = sys.gettrace()
    sys.settrace(function)
    try:
        yield
    finally:
        sys.settrace(previous)


class Interrupt(BaseException):
    """What the timer raises."""


def interrupted(call, number, files):
    """Make a call and interrupt it at a line of some files; return the interrupt, ``None`` without that line.

    Args:
        call: A function.
        number: How many lines to let pass.
        files: Parts of the names of the files whose lines count.
    """
    lines = iter(range(number))

    def line(_, event, __):
        if event == "line" and next(lines, None) is None:
            sys.settrace(None)
            raise Interrupt
        return line

    def enter(frame, *_):
        return line if any(file in frame.f_code.co_filename for file in files) else None

    try:
        with traced(enter):
            call()
    except Interrupt as error:
        return error
    return None


def local_variables(error, files="/wechatpay/"):
    """Collect the local variables of the package's frames, as an error tracker shows them."""
    return "\n".join(
        f"{frame.f_code.co_name} {name}={value!r}"
        for frame, _ in traceback.walk_tb(error.__traceback__)
        if files in frame.f_code.co_filename and "/tests/" not in frame.f_code.co_filename
        for name, value in frame.f_locals.items()
        if name != "self"
    )
