"""The project speaks plain technical English: no private dialect in code, documentation or errors."""

from __future__ import annotations

import re

import pages
from cases import each

#: Words that a reader would have to learn, and the field's own words for them.
INSTEAD = {
    r"colou?rs?": "sync and async",
    r"tall(?:y|ies)": "BodyDigest, count",
    r"believe[ds]?|believing": "trusted",
    r"told": "logged, reported",
    r"proved|proven|prove|proves": "verified",
    r"patience": "timeout",
    r"story|stories": "log, steps",
    r"keepers?|errands?": "AccessTokens, a request",
    r"(?<!there )is no (?!longer\b)\w+": "is not a …",
    r"beheld|bury|hush|befall": "close, hide, apply",
    r"stays? home": "must not reach another host",
    r"waits? for ever": "no timeout",
}

PATTERN = re.compile(rf"\b(?:{'|'.join(INSTEAD)})\b", re.IGNORECASE)

#: HTTP has responses; "answer" is left to prose about people.
ANSWER = re.compile(r"\banswer(?:s|ed|ing)?\b", re.IGNORECASE)

FILES = [
    *pages.PAGES,
    pages.ROOT / "CHANGELOG.md",
    *sorted((pages.ROOT / "wechatpay").rglob("*.py")),
]


@each("file", FILES, ids=lambda file: str(file.relative_to(pages.ROOT)))
def test_file_uses_the_words_of_the_field(file):
    """What an engineer who knows requests and aiohttp reads, he understands at first reading."""
    lines = file.read_text("utf-8").splitlines()
    found = [
        f"{number}: {line.strip()}"
        for number, line in enumerate(lines, 1)
        if PATTERN.search(line) or ANSWER.search(line)
    ]

    assert [] == found, INSTEAD


@each(
    "file", sorted((pages.ROOT / "tests").rglob("*.py")), ids=lambda file: str(file.relative_to(pages.ROOT))
)
def test_tests_speak_of_responses(file):
    """Names of tests, fixtures and helpers, too."""
    assert file.name == "test_words.py" or "answer" not in file.read_text("utf-8").lower()
