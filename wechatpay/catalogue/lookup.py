"""Find operations by verb and path, by template, by words; list what is below a path."""

from __future__ import annotations

import functools
import itertools
import json
import keyword
import re
from importlib.resources import files
from typing import Any, NamedTuple

from wechatpay.catalogue.model import Event, Fields, Operation
from wechatpay.errors import ConfigurationError
from wechatpay.options import VERBS

__all__ = [
    "EVENTS_V2",
    "EncryptedFields",
    "Level",
    "by_template",
    "children",
    "encrypted_fields",
    "events",
    "find",
    "find_query",
    "operations",
    "read_lines",
    "search",
    "spell",
]

#: The catalogue's names of APIv2's callbacks, which have no event type, by those of the sandbox.
EVENTS_V2 = {
    "v2/combined-payment": "combined-transactions-success",
    "v2/contract-ended": "pap-contract-state-changed",
    "v2/contract-signed": "pap-contract-state-changed",
    "v2/payment": "transaction-success",
    "v2/refund": "refund-processed",
    "v2/risk": "transactions-risk-occurred",
    "v2/vehicle": "vehicle-state-changed-for-parking",
}

#: Overseas prefixes of a path, which the documents leave to the base URI.
_PREFIXES = ("hk/v3/", "global/v3/")

#: Three templates name a segment with a capital by a variable that has one value.
_FIXED = {
    f"{{{name.lower()}}}": name
    for name in ("addInstitutionsub", "modifyInstitutionsub", "queryInstitutionsub")
} | {"{empty}": ""}

#: Members that hold the caller's own business number.
_OWN_NUMBER = re.compile(r"(^|_)out_|_no$")


class Level(NamedTuple):
    """What is below a path.

    Attributes:
        segments: The next segments, as they stand in templates.
        verbs: Upper-case methods of the operations at this path.
    """

    segments: tuple[str, ...]
    verbs: tuple[str, ...]


class EncryptedFields(NamedTuple):
    """Which members of an operation travel encrypted: names to trees; ``[]`` names a list's members."""

    query: dict[str, Any]
    body: dict[str, Any]
    response: dict[str, Any]


def find(verb: str, path: str) -> Operation | None:
    """Find the operation that a verb and a path belong to; a literal segment wins over a variable.

    Args:
        verb: HTTP method, in any case.
        path: Template or expanded path, without host; APIv2's begin with ``v2/``. A query is ignored.

    Returns:
        The operation, or ``None`` if the catalogue has none.
    """
    segments = _split(path)
    if (number := _numbers().get((verb.upper(), path))) is not None:
        return _operation(number)
    for pattern, row in _index().get((verb.upper(), len(segments)), ()):
        if all(map(_matches, pattern, segments)):
            return _operation(row)
    return None


@functools.lru_cache(256)
def find_query(verb: str, path: str) -> tuple[Operation, tuple[str, ...]] | None:
    """Find the GET that returns what became of an APIv3 operation.

    Args:
        verb: As for `find`.
        path: As for `find`.

    Returns:
        The GET with the longest common path among those that take a business number which the operation
        takes too, and the names of its numbers; ``None`` if there is none.
    """
    operation = find(verb, path)
    if operation is None:
        return None
    known = {*operation.path, *operation.query, *operation.body}
    product = "/".join(operation.template.split("/")[:2])
    best: tuple[tuple[int, bool, int], int, tuple[str, ...]] | None = None
    for (method, template), number in _numbers().items():
        if method != "GET" or not template.startswith(product):
            continue
        common = _common_segments(operation.template, template)
        names = tuple(re.findall(r"\{(\w+)\}", template)) or tuple(
            name for name in _rows()[number].get("query", ()) if name in known and _OWN_NUMBER.search(name)
        )
        rest = template.split("/")[common:]
        rank = (common, "{" in template, -len(template))
        if (
            known.issuperset(names)
            and any(map(_OWN_NUMBER.search, names))
            and all(part.strip("{}").replace("-", "_") in " ".join(names) for part in rest)
            and (best is None or rank > best[0])
        ):
            best = rank, number, names
    return best and (_operation(best[1]), best[2])


def _common_segments(a: str, b: str) -> int:
    pairs = zip(a.split("/"), b.split("/"), strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def by_template(template: str) -> tuple[Operation, ...]:
    """Return the operations, at most one a verb, whose template is exactly ``template``."""
    keys = ((verb, template) for verb in VERBS)
    return tuple(_operation(_numbers()[key]) for key in keys if key in _numbers())


def operations() -> tuple[Operation, ...]:
    """Return all operations, in the order of their templates."""
    return tuple(map(_operation, range(len(_rows()))))


@functools.cache
def events() -> dict[str, Event]:
    """Return all callbacks by name. A name that both protocols have is APIv3's; APIv2's ends in ``@v2``."""
    rows = [Event.parse(row) for row in _read("events.jsonl")]
    taken = {event.name for event in rows if event.version == "v3"}
    return {
        f"{event.name}@v2" if event.version == "v2" and event.name in taken else event.name: event
        for event in rows
    }


def search(words: str) -> list[Operation]:
    """Find the operations that have all words in their title, tags or template.

    Args:
        words: Separated by blanks, Chinese or English, in any case.

    Returns:
        The operations; those whose title has every word come first.
    """
    wanted = words.casefold().split()
    found = []
    for number, row in enumerate(_rows()):
        title = row["title"].casefold()
        text = f"{title} {' '.join(row.get('tag', ()))} {row['verb']} {row['uri']}".casefold()
        if wanted and all(word in text for word in wanted):
            found.append((not all(word in title for word in wanted), number))
    return [_operation(number) for _, number in sorted(found)]


def encrypted_fields(verb: str, path: str) -> EncryptedFields | None:
    """Return the members that APIv3 documents as encrypted, or ``None`` if there are none.

    Requests are encrypted with the platform's key, responses with the merchant's.

    Args:
        verb: As for `find`.
        path: As for `find`.
    """
    operation = find(verb, path)
    if operation is None or not operation.template.startswith("v3/"):
        return None
    trees = EncryptedFields(
        _encrypted(operation.query, "platform-rsa"),
        _encrypted(operation.body, "platform-rsa"),
        _encrypted(operation.response, "merchant-rsa"),
    )
    return trees if any(trees) else None


def _encrypted(fields: Fields, cipher: str) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, field in fields.items():
        below = _encrypted(field.fields, cipher)
        # The documents name no cipher for this one, which travels as its neighbours do.
        own = field.sensitive and (field.cipher == cipher or name == "user_chosen_values")
        if own or below:
            tree[name] = {"[]": below} if (field.encoded_type or field.type).endswith("[]") else below
    return tree


def children(path: str) -> Level:
    """Return the segments and verbs below a path; both are empty where the catalogue has nothing.

    Args:
        path: As for `find`; ``""`` is the root. Any variable's name will do.
    """
    nodes = [_tree()]
    for segment in _split(path) if path else ():
        nodes = [node[name] for node in nodes for name in node if _matches(_pattern(name), segment)]
    segments = {name: None for node in nodes for name in node if name not in VERBS}
    verbs = {name: None for node in nodes for name in node if name in VERBS}
    return Level(tuple(segments), tuple(verbs))


def spell(segment: str) -> str:
    """Spell a template's segment as the chain's attribute, such as ``eduPapay`` or ``_openid_``."""
    segment = _FIXED.get(segment, segment) or segment
    if segment.startswith("{"):
        return f"_{segment[1:-1]}_"
    name = re.sub("-([a-z])", lambda match: match[1].upper(), segment)
    return f"{name}_" if keyword.iskeyword(name) else name


def read_lines(name: str) -> list[str]:
    """Read the lines of a data file.

    Raises:
        ConfigurationError: It cannot be read.
    """
    try:
        return files("wechatpay.catalogue").joinpath(name).read_text("utf-8").splitlines()
    except OSError as error:
        flaw = f"the catalogue cannot be read ({error}): install the package with its data files; "
    raise ConfigurationError(f"{flaw}for PyInstaller, include the data files in wechatpay/catalogue/")


def _read(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in read_lines(name)]


@functools.cache
def _rows() -> list[dict[str, Any]]:
    return _read("operations.jsonl")


@functools.cache
def _operation(number: int) -> Operation:
    return Operation.parse(_rows()[number])


@functools.cache
def _numbers() -> dict[tuple[str, str], int]:
    return {(row["verb"], row["uri"]): number for number, row in enumerate(_rows())}


@functools.cache
def _index() -> dict[tuple[str, int], list[tuple[tuple[str | None, ...], int]]]:
    """Index the rows by verb and number of segments; templates with literals come first."""
    index: dict[tuple[str, int], list[tuple[tuple[str | None, ...], int]]] = {}
    for number, row in enumerate(_rows()):
        pattern = tuple(map(_pattern, row["uri"].split("/")))
        index.setdefault((row["verb"], len(pattern)), []).append((pattern, number))
    for found in index.values():
        found.sort(key=lambda entry: [part is None for part in entry[0]])
    return index


@functools.cache
def _tree() -> dict[str, Any]:
    """Nest the templates' segments; a method at a path is an entry of its own."""
    root: dict[str, Any] = {}
    for row in _rows():
        node = root
        for segment in row["uri"].split("/"):
            node = node.setdefault(segment, {})
        node[row["verb"]] = {}
    return root


def _split(path: str) -> list[str]:
    path = path.partition("?")[0].partition("{?")[0].removeprefix("/")
    for prefix in _PREFIXES:
        if path.startswith(prefix):
            path = path.partition("/")[2]
    return [_FIXED.get(segment, segment) for segment in path.split("/")]


def _pattern(segment: str) -> str | None:
    """Return what a segment must be, or ``None`` for any value."""
    fixed = _FIXED.get(segment, segment)
    return None if fixed.startswith("{") else fixed


def _matches(pattern: str | None, segment: str) -> bool:
    return bool(segment) if pattern is None else pattern == segment
