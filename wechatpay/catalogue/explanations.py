"""What error codes and Request-IDs mean, and what to do."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from wechatpay.catalogue.lookup import read_lines

__all__ = ["Explanation", "explain_code", "explain_request_id"]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What an error means.

    Attributes:
        meaning: What happened, in English.
        remedy: What to do, in English.
        message: WeChat Pay's own text, in Chinese; ``""`` if not known.
        api: Verb and template that it holds for; ``*`` for every call.
        code: The error code; ``""`` for a Request-ID.
        http_status: The HTTP status that it comes with, or ``None`` if not known.
        retryable: Whether the identical request may succeed later; ``None`` if not known.
        is_outcome_unknown: Whether money may have moved: query before you repeat.
        certainty: ``official``, ``text-official``, ``reported`` or ``inferred``.
    """

    meaning: str
    remedy: str
    message: str = ""
    api: str = "*"
    code: str = ""
    http_status: int | None = None
    retryable: bool | None = None
    is_outcome_unknown: bool = False
    certainty: str = ""


def explain_code(
    code: str, http_status: int | None = None, api: str = "", *, message: str = ""
) -> list[Explanation]:
    """Explain an error code; the best match comes first.

    Args:
        code: Such as ``PARAM_ERROR``.
        http_status: Prefer entries with this status.
        api: ``VERB template`` of the call, such as ``POST v3/pay/transactions/jsapi``: entries of other calls
            are left out, and its own come before those of every call. By default all entries are returned.
        message: WeChat Pay's message: prefer the entry that has the same text.
    """
    found = [row for row in _codes().get(code, ()) if not api or _covers(row["api"], api)]
    found.sort(
        key=lambda row: (
            bool(message) and row.get("message_zh", "") != message,
            (row["api"] == "*") == bool(api),
            http_status is not None and row.get("http_status") not in {http_status, None},
        )
    )
    return [_explanation(row) for row in found]


def explain_request_id(request_id: str) -> Explanation | None:
    """Explain the number that a ``Request-ID`` ends in, or ``None`` if it is not known.

    Args:
        request_id: The whole, or the number behind its last ``-``.
    """
    row = _tails().get(request_id.rpartition("-")[2].strip())
    return None if row is None else Explanation(row[0], row[1], row[2])


def _explanation(row: dict[str, Any]) -> Explanation:
    return Explanation(
        meaning=row.get("meaning_en", ""),
        remedy=row.get("remedy_en", ""),
        message=row.get("message_zh", ""),
        api=row["api"],
        code=row["code"],
        http_status=row.get("http_status"),
        retryable=row.get("retryable"),
        is_outcome_unknown=row.get("outcome") == "unknown",
        certainty=row.get("certainty", ""),
    )


def _covers(pattern: str, api: str) -> bool:
    """Return whether ``VERB template`` is covered: ``{a,b}`` are alternatives, ``*`` is the rest."""
    return any(
        api.startswith(text.removesuffix("*")) if text.endswith("*") else api == text
        for text in _alternatives(pattern)
    )


def _alternatives(pattern: str) -> list[str]:
    """Expand ``{a,b}``; braces without a comma of their own are variables and stay."""
    start = pattern.find("{")
    if start < 0:
        return [pattern]
    depth, commas = 0, []
    for end in range(start, len(pattern)):
        depth += (pattern[end] == "{") - (pattern[end] == "}")
        if pattern[end] == "," and depth == 1:
            commas.append(end)
        if not depth:
            break
    tails = _alternatives(pattern[end + 1 :])
    cuts = [start, *commas, end]
    if commas:
        inside = [text for a, b in pairwise(cuts) for text in _alternatives(pattern[a + 1 : b])]
    else:
        inside = [pattern[start : end + 1]]
    return [pattern[:start] + choice + tail for choice in inside for tail in tails]


@functools.cache
def _codes() -> dict[str, list[dict[str, Any]]]:
    codes: dict[str, list[dict[str, Any]]] = {}
    for line in read_lines("errors.jsonl"):
        row = json.loads(line)
        codes.setdefault(row["code"], []).append(row)
    return codes


@functools.cache
def _tails() -> dict[str, list[str]]:
    return {tail: rest for tail, *rest in (line.split("\t") for line in read_lines("request_ids.tsv"))}
