"""Describe operations, callbacks, error codes and Request-IDs as text: ``help()`` and the command line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from wechatpay.builder import Node, _VerbNode
from wechatpay.catalogue import lookup
from wechatpay.catalogue.check import suggest, suggest_verb
from wechatpay.catalogue.explanations import Explanation, explain_code, explain_request_id
from wechatpay.options import VERBS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wechatpay.catalogue.model import Event, Field, Fields, Operation

__all__ = ["describe_node", "describe_path", "explain_topic", "suggest_topic", "summarize"]

_REQUEST_ID = re.compile(r"(.*-)?[0-9]+")

#: A verb, perhaps; a host, perhaps; a path; a query, perhaps.
_CALL = re.compile(
    rf"(?:({'|'.join(VERBS)})\s+)?(?:https?://[^/?]*)?/*([^?]*)(?:\?.*)?", re.IGNORECASE | re.DOTALL
)


def describe_path(path: str, verb: str = "") -> str:
    """Describe what the catalogue knows at a path: each operation in full, and what is below.

    Args:
        path: Template or expanded path, such as ``v3/pay/transactions/jsapi``; APIv2's begin with ``v2/``.
        verb: Upper-case method, to describe that operation alone.

    Returns:
        Text of many lines, or ``""`` if the catalogue has nothing there.
    """
    level = lookup.children(path)
    verbs = [each for each in level.verbs if verb in {"", each}]
    parts = ["\n".join(_operation(found)) for each in verbs if (found := lookup.find(each, path))]
    if level.segments and not verb:
        parts.append(f"below: {', '.join(map(lookup.spell, level.segments))}")
    return "\n\n".join(parts)


def describe_node(node: Node) -> str:
    """Describe a node of the chain, or the operation of a verb; ``""`` if the catalogue has nothing there."""
    if isinstance(node, _VerbNode):
        own = describe_path(node._parent._path, node._name.removesuffix("Async").upper())
        return own or describe_path(node._shown)
    return describe_path(node._path)


def explain_topic(topic: str) -> str:
    """Describe an operation, an event type, an error code or a Request-ID; ``""`` if it is not known.

    Args:
        topic: Such as ``v3/pay/transactions/jsapi``, with or without a verb before it, or the URL of a call;
            ``TRANSACTION.SUCCESS``, ``PARAM_ERROR``, in any case; ``v2/payment`` and the like, as the sandbox
            names events; or ``08F78AAE0610D3F9-268512771``.
    """
    topic = topic.strip()
    topic = lookup.EVENTS_V2.get(topic, topic)
    if event := lookup.events().get(topic) or lookup.events().get(topic.upper()):
        return "\n".join(_event(event))
    if codes := explain_code(topic) or explain_code(topic.upper()):
        return "\n\n".join(map(_explanation, codes))
    if _REQUEST_ID.fullmatch(topic) and (found := explain_request_id(topic)):
        return _explanation(found)
    verb, path = _CALL.fullmatch(topic).groups("")  # type: ignore[union-attr]  # it matches any text
    return describe_path(path, verb.upper()) or describe_path(f"v2/{path}", verb.upper())


def suggest_topic(topic: str) -> str:
    """Suggest what may have been meant by a topic that is not known; ``""`` if nothing is like it."""
    verb, path = _CALL.fullmatch(topic.strip()).groups("")  # type: ignore[union-attr]  # it matches any text
    return suggest_verb(path, verb.upper()) or suggest(path, verb.upper())


def summarize(operation: Operation) -> str:
    """Describe an operation in one line."""
    return f"{operation.verb:6} {operation.template}  {operation.title}"


def _operation(operation: Operation) -> Iterator[str]:
    yield f"{operation.verb} {operation.template}  {operation.title}"
    yield from (f"  {link}" for link in operation.links)
    chain = ".".join(map(lookup.spell, operation.template.split("/")))
    yield f"  instance.{chain}.{operation.verb.lower()}(…)"
    if operation.base_uri:
        yield f"  base_uri={operation.base_uri!r}"
    if operation.security:
        yield "  security=True: needs the merchant certificate"
    if operation.one_of:
        yield f"  one of {', '.join(operation.one_of)} is required"
    yield from _members("variables", operation.path)
    yield from _members("query", operation.query)
    yield from _members(
        "media" if operation.body_kind == "multipart" else operation.body_kind, operation.body
    )
    yield from _members(
        f"response, {operation.response_status} {operation.response_kind}", operation.response
    )


def _event(event: Event) -> Iterator[str]:
    yield f"{event.name}  {event.title}"
    yield from (f"  {link}" for link in event.links)
    yield from _members("resource", event.resource)


def _members(heading: str, fields: Fields) -> Iterator[str]:
    if fields:
        yield f"{heading}:"
        yield from _tree(fields, "  ")


def _tree(fields: Fields, indent: str) -> Iterator[str]:
    for field in fields.values():
        yield f"{indent}{field.name}: {', '.join(_traits(field))}"
        yield from _tree(field.fields, f"{indent}  ")
        for case, members in field.variants.items():
            yield f"{indent}  {case}:"
            yield from _tree(members, f"{indent}    ")


def _traits(field: Field) -> Iterator[str]:
    yield field.type
    if field.required:
        yield "required"
    if field.one_of:
        yield f"with one of {' '.join(field.one_of)}"
    if field.enum:
        yield f"one of {' '.join(map(str, field.enum))}"
    if field.max_length is not None:
        yield f"at most {field.max_length} bytes"
    if field.sensitive:
        yield "encrypted"
    if field.encoded:
        yield f"{field.encoded} in a string"


def _explanation(explanation: Explanation) -> str:
    status = f"{explanation.http_status} " if explanation.http_status else ""
    heading = f"{status}{explanation.code} {explanation.message}".strip()
    lines = [heading]
    if explanation.meaning:
        lines.append(f"  {explanation.meaning}")
    if explanation.remedy:
        lines.append(f"  remedy: {explanation.remedy}")
    if explanation.api != "*":
        lines.append(f"  of: {explanation.api}")
    if explanation.retryable:
        lines.append("  the identical request may succeed later")
    if explanation.is_outcome_unknown:
        lines.append("  the outcome is unknown: query before you repeat")
    return "\n".join(lines)
