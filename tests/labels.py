"""Names of parametrized tests that are the same in every process, as parallel runs need them."""

import re


def stable_repr(value):
    """Give a value's repr without the addresses of objects."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))
