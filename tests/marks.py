"""How ``wechatpay/sensitive/marks.jsonl`` is made from a catalogue of operations.

``python tests/marks.py catalogue.jsonl`` writes both that file and ``tests/vectors/sensitive.jsonl``, the
catalogue cut down to what matters here, from which a test makes the marks again.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

VECTORS = Path(__file__).parent / "vectors" / "sensitive.jsonl"
MARKS = Path(__file__).parents[1] / "wechatpay" / "sensitive" / "marks.jsonl"

#: Under the one cipher that each direction has, of those that APIv3 knows.
CIPHERS = {"query": "platform-rsa", "body": "platform-rsa", "response": "merchant-rsa"}

#: Fields that the catalogue names no cipher for, and that travel as their neighbours do. Others without one
#: are not RSA under either key (certificates), hold no text (keys of bills), or come encrypted as they are to
#: be sent (codes of cards).
LIKE_NEIGHBOURS = {"user_chosen_values"}


def compact(rows):
    """Cut a catalogue down to sensitive fields, and the operations that their URIs could be taken for."""
    rows = [row for row in rows if row["uri"].startswith("v3/")]
    kept = [cut for row in rows if (cut := _cut(row))]
    for row in rows:
        if not _cut(row) and any(_shadows(row, other) for other in kept):
            kept.append({"verb": row["verb"], "uri": row["uri"]})
    return sorted(kept, key=lambda row: (row["uri"], row["verb"]))


def _cut(row):
    parts = {part: cut for part in CIPHERS if (cut := _fields(row[part]))}
    return {"verb": row["verb"], "uri": row["uri"], **parts} if parts else None


def _fields(fields):
    kept = []
    for field in fields or []:
        inner = _fields(field.get("fields"))
        if field.get("sensitive") or inner:
            names = ("name", "type", "encoded_type", "sensitive", "cipher")
            kept.append(
                {name: field[name] for name in names if name in field} | ({"fields": inner} if inner else {})
            )
    return kept


def _shadows(row, other):
    """Tell whether the URI of ``row`` is one that the template of ``other`` can expand to."""
    ours, theirs = row["uri"].split("/"), other["uri"].split("/")
    return (
        row["verb"] == other["verb"]
        and len(ours) == len(theirs)
        and all(a == b or (b.startswith("{") and b != "{empty}") for a, b in zip(ours, theirs, strict=True))
        and ours != theirs
    )


def marks(rows):
    """Make the marks: for each operation the paths of its encrypted fields."""
    for row in rows:
        parts = {
            part: paths for part in CIPHERS if (paths := list(_paths(row.get(part, []), "", CIPHERS[part])))
        }
        shadow = not any(part in row for part in CIPHERS)
        if parts or shadow:
            uri = row["uri"].replace("{empty}", "")
            yield {"verb": row["verb"].upper(), "uri": uri, **parts}


def _paths(fields, prefix, cipher):
    for field in fields:
        kind = field.get("encoded_type", field["type"])
        path = f"{prefix}{field['name']}" + ("[]" if kind.endswith("[]") else "")
        if field.get("sensitive") and (field.get("cipher") == cipher or field["name"] in LIKE_NEIGHBOURS):
            yield path
        yield from _paths(field.get("fields", []), f"{path}.", cipher)


def lines(rows):
    """Lay rows out, one a line."""
    return "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)


def read(path):
    """Read rows, one a line."""
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


if __name__ == "__main__":
    VECTORS.write_text(lines(compact(read(sys.argv[1]))))
    MARKS.write_text(lines(marks(read(VECTORS))))
