"""Many cases in one test, for those that take less time than pytest needs to begin a test."""

from __future__ import annotations

import functools
import inspect


def each(names, cases, ids=None):
    """Run a test with each of the cases in a row; takes what `pytest.mark.parametrize` takes.

    Fixtures are shared by all cases. All of them run: those that fail are reported together.
    """
    names = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    # `pytest.param` gives values, marks and an id.
    cases = [case.values if hasattr(case, "marks") else case if len(names) > 1 else (case,) for case in cases]

    def decorate(test):
        signature = inspect.signature(test)

        @functools.wraps(test)
        def run(*self, **fixtures):
            run_each(lambda *case: test(*self, **fixtures, **dict(zip(names, case, strict=True))), cases)

        kept = [parameter for name, parameter in signature.parameters.items() if name not in names]
        run.__signature__ = signature.replace(parameters=kept)
        return run

    return decorate


def run_each(check, cases):
    """Call ``check`` with each of the cases, and report those that fail together."""
    failed = []
    for case in cases:
        try:
            check(*case)
        except Exception as error:  # noqa: BLE001  each is reported
            error.add_note(f"case: {case!r}"[:500])
            failed.append(error)
    if failed:
        raise ExceptionGroup(f"{len(failed)} of {len(cases)} cases failed", failed)
