"""What the catalogue knows of one operation, one callback and one member."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Event", "Field", "Fields", "Operation"]

#: Members by name, in the documented order.
Fields: TypeAlias = "Mapping[str, Field]"

_DOC = "https://pay.weixin.qq.com/doc/"


@dataclass(frozen=True, slots=True)
class Field:
    """One member of a path, query, body or response.

    Attributes:
        name: Its name; ``$n`` in APIv2 stands for a number, counted from 0.
        type: ``string``, ``integer``, ``number``, ``boolean`` or ``object``; with ``[]`` behind it, a list.
        required: Whether the documents require it.
        enum: The documented values; ``()`` for any.
        max_length: Maximum bytes as UTF-8, or ``None`` if not known.
        value: The only value that is ever sent, or ``None``.
        default: What WeChat Pay takes when it is left out, or ``None``.
        sensitive: Whether it travels encrypted.
        cipher: ``platform-rsa``, ``merchant-rsa`` or ``paybank-rsa``; ``""`` if not encrypted or not known.
        encoded: ``json`` or ``urlencode`` where a string carries ``fields`` in that form; else ``""``.
        one_of: Members of an object of which at least one must be given; ``()`` for none.
        fields: The members of an object, of each object in a list, or of what a string carries.
        variants: Alternative members, by the value that selects them.
    """

    name: str
    type: str
    required: bool = False
    enum: tuple[Any, ...] = ()
    max_length: int | None = None
    value: str | None = None
    default: str | None = None
    sensitive: bool = False
    cipher: str = ""
    encoded: str = ""
    encoded_type: str = ""
    one_of: tuple[str, ...] = ()
    fields: Fields = field(default_factory=dict)
    variants: Mapping[str, Fields] = field(default_factory=dict)

    @classmethod
    def parse(cls, name: str, row: str | Mapping[str, Any]) -> Field:
        """Read a member's entry in the package data: a type, with ``!`` if required, or a mapping."""
        if isinstance(row, str):
            return cls(name, row.removesuffix("!"), row.endswith("!"))
        more = dict(row)
        kind = more.pop("type")
        more["enum"] = tuple(more.pop("enum", ()))
        more["one_of"] = tuple(more.pop("one_of", ()))
        more["fields"] = parse_fields(more.pop("fields", {}))
        variants = more.pop("variants", {})
        more["variants"] = {case: parse_fields(members) for case, members in variants.items()}
        return cls(name, kind.removesuffix("!"), kind.endswith("!"), **more)


def parse_fields(row: Mapping[str, Any]) -> Fields:
    """Read members by name."""
    return {name: Field.parse(name, entry) for name, entry in row.items()}


@dataclass(frozen=True, slots=True)
class Operation:
    """One documented operation.

    Attributes:
        verb: Upper-case HTTP method.
        template: RFC 6570 template of the path, without leading ``/``; APIv2's begin with ``v2/``.
        title: WeChat Pay's name for it, in Chinese.
        links: The official pages.
        tags: WeChat Pay's names for the products that it belongs to.
        base_uri: Where it is served, if not at the main host; else ``""``.
        path: The template's variables.
        query: The query's members.
        query_optional: Whether the query may be left out as a whole.
        body: The body's members; of an upload, the file and ``meta``.
        body_kind: ``json``, ``xml``, ``multipart`` or ``none``.
        one_of: Body members of which at least one must be given; ``()`` for none.
        security: Whether it requires the merchant certificate on the connection.
        encrypts: Whether it requires the header ``Wechatpay-Serial``.
        response: The members of a successful response.
        response_kind: ``json``, ``xml``, ``csv``, ``image``, ``pdf`` or ``none``.
        response_status: HTTP status of a successful response.
    """

    verb: str
    template: str
    title: str
    links: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    base_uri: str = ""
    path: Fields = field(default_factory=dict)
    query: Fields = field(default_factory=dict)
    query_optional: bool = False
    body: Fields = field(default_factory=dict)
    body_kind: str = "none"
    one_of: tuple[str, ...] = ()
    security: bool = False
    encrypts: bool = False
    response: Fields = field(default_factory=dict)
    response_kind: str = "json"
    response_status: int = 200

    @classmethod
    def parse(cls, row: Mapping[str, Any]) -> Operation:
        """Read a line of the package data."""
        more = dict(row)
        template, links, tags = more.pop("uri"), more.pop("doc", ()), more.pop("tag", ())
        for part in ("path", "query", "body", "response"):
            more[part] = parse_fields(more.get(part, {}))
        more["one_of"] = tuple(more.get("one_of", ()))
        return cls(template=template, links=_links(links), tags=tuple(tags), **more)


@dataclass(frozen=True, slots=True)
class Event:
    """One documented callback.

    Attributes:
        name: ``event_type`` of APIv3, such as ``TRANSACTION.SUCCESS``; APIv2's have names of ours.
        version: ``v3`` or ``v2``.
        title: WeChat Pay's name for it, in Chinese.
        links: The official pages.
        original_types: What ``original_type`` may be.
        resource: The members of the decrypted resource.
        variants: The products whose callbacks differ, whose members are merged here; ``()`` for one form.
    """

    name: str
    version: str
    title: str
    links: tuple[str, ...]
    original_types: tuple[str, ...]
    resource: Fields
    variants: tuple[str, ...] = ()

    @classmethod
    def parse(cls, row: Mapping[str, Any]) -> Event:
        """Read a line of the package data."""
        return cls(
            name=row["event"],
            version=row["version"],
            title=row["title"],
            links=_links(row.get("doc", ())),
            original_types=tuple(row.get("original_types", ())),
            resource=parse_fields(row.get("resource", {})),
            variants=tuple(row.get("variants", ())),
        )


def _links(listed: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(link if link.startswith("https://") else _DOC + link for link in listed)
