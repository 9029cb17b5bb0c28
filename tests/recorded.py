"""Vectors recorded from the PHP SDK, in Python's terms."""

from __future__ import annotations

import json
from base64 import b64decode
from functools import cache
from pathlib import Path

from wechatpay.errors import WeChatPayError


class Failure:
    """What a vector gives when PHP throws: any error of ours will do, for the words are PHP's."""

    def __repr__(self):
        return "an error"


FAILURE = Failure()


@cache
def _groups():
    return json.loads((Path(__file__).parent / "vectors" / "units.json").read_bytes())["vectors"]


def _native(value):
    if isinstance(value, dict):
        if value.keys() == {"$base64"}:
            return b64decode(value["$base64"])
        return {name: _native(member) for name, member in value.items()}
    return [_native(member) for member in value] if isinstance(value, list) else value


def of(group, differs=lambda *args: False):
    """List ``(args, expected)`` of a group, but for those that ``differs`` by their arguments."""
    pairs = [
        (_native(vector["args"]), FAILURE if "exception" in vector else _native(vector["result"]))
        for vector in _groups()[group]
    ]
    return [pair for pair in pairs if not differs(*pair[0])]


def but(group, differs):
    """List the rest: the arguments for which ours differs from PHP on purpose."""
    return [args for args, _ in of(group) if differs(*args)]


def outcome(function, *args):
    """Call, and give what came of it in the terms of `of`."""
    try:
        return function(*args)
    except WeChatPayError:
        return FAILURE
