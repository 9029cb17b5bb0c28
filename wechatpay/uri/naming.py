"""Names to templates: what an attribute, or a string, adds to a chain.

========================  ===========================  ================================
written                   as an attribute              in a string, a ``/`` segment
========================  ===========================  ================================
``eduPapay``              ``edu-papay``                the same: one camelCase word
``V3``, ``h5Presign``     ``v3``, ``h5-presign``       verbatim
``N123123``, ``JSAPI``    ``n123123``, ``j-s-a-p-i``   verbatim: it is a value
``_openid_``              ``{openid}``                 ``{openid}``, as are ``<openid>``, ``{openid}``
``global_``               ``global``                   verbatim
``_x``, ``_repr_html_``   ``AttributeError``           verbatim
========================  ===========================  ================================
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from wechatpay.errors import InvalidRequestError
from wechatpay.uri.target import absolute
from wechatpay.uri.template import CACHED, braced, cached, compiled, is_expression, quote

__all__ = ["attribute", "child", "join", "literal"]

# The only documented names with a capital: https://pay.weixin.qq.com/doc/global/v2/zh/4013636642
_CAPITAL_NAMES: Final = frozenset({"addInstitutionsub", "modifyInstitutionsub", "queryInstitutionsub"})
_CAPITAL_PARENT: Final = "v2/secapi/mch"

# getattr() with a piece of a template.
_NO_IDENTIFIER: Final = frozenset("{}<>/?#")

_CAPITAL = re.compile("[A-Z]")
_WORD = re.compile(r"[a-z]+(?:[A-Z][a-z]+)*(?:V[0-9]+)?")
_QUERY = re.compile(r"\{?[?#]|\{&")
_SEGMENT = re.compile(r"\{/[^{}]*\}|(?:[^/{}]|\{[^/{}][^{}]*\})+")


def attribute(name: str, parent: str) -> str:
    """Name the template segment for ``node.name``.

    Args:
        name: The attribute's name.
        parent: The node's template so far, ``""`` for the root.

    Raises:
        AttributeError: ``name`` begins with ``_`` and is not a variable: ``copy`` and IPython probe them.
        InvalidRequestError: ``name`` holds brackets that are no expression.
    """
    if name in _CAPITAL_NAMES and _below(parent) == _CAPITAL_PARENT:
        return name
    return _attribute(name)


@lru_cache(CACHED)
def _attribute(name: str) -> str:
    if name.startswith("_"):
        variable = _variable(name)
        if variable is None:
            raise AttributeError(f"no attribute {name!r}: for a segment that begins with '_' use [{name!r}]")
        return variable
    if not name:
        raise AttributeError("no attribute ''")
    if not _NO_IDENTIFIER.isdisjoint(name):
        return literal(name, "")
    return _kebab(name.removesuffix("_"))


@cached
def literal(text: str, parent: str) -> str:
    """Read the template in ``chain(text)`` or ``[text]``, by ``/`` segments.

    A query, and an absolute URL, are verbatim but for their expressions. One leading ``/`` is dropped.

    Args:
        text: ``v3/edu-papay/user/<openid>/contracts``.
        parent: The node's template so far, ``""`` for the root.

    Raises:
        InvalidRequestError: An expression is malformed, or a segment in the middle is empty.
    """
    compiled(text)
    text = braced(text)
    if absolute(text):
        return text
    text = text.removeprefix("/")
    query = _QUERY.search(text)
    head = text[: query.start()] if query else text
    if "//" in head or head.startswith("/"):
        raise InvalidRequestError(f"{quote(text)} has an empty segment: write one '/' between segments")

    def segment(match: re.Match[str]) -> str:
        return _segment(match[0], f"{parent}/{head[: match.start()]}")

    return _SEGMENT.sub(segment, head) + text[len(head) :]


@lru_cache(CACHED)
def child(parent: str, name: str) -> str:
    """Append `attribute`'s segment to a template, with one look for a step that was taken before.

    Raises:
        AttributeError: As for `attribute`.
        InvalidRequestError: As for `attribute` and `join`.
    """
    return join(parent, attribute(name, parent))


def join(parent: str, child: str) -> str:
    """Append what `attribute` or `literal` gave to a template.

    Raises:
        InvalidRequestError: ``child`` is an absolute URL, a path follows a query, or an inner segment is
            empty.
    """
    if not parent:
        return child
    if "://" in child and absolute(child):
        raise InvalidRequestError(f"an absolute URL can only begin a chain, not follow {quote(parent)}")
    if "?" in parent or "{&" in parent or "#" in parent:
        if child.startswith(("&", "{&")):
            return parent + child
        raise InvalidRequestError(
            f"{quote(child)} cannot follow the query of {quote(parent)}: pass the query option to the verb"
        )
    if child.startswith(("?", "#", "{?", "{&", "{#", "{/")):
        return parent + child
    if parent.endswith("/"):
        if not absolute(parent):
            raise InvalidRequestError(
                f"{quote(child)} after {quote(parent)} leaves an empty segment: drop the last '/'"
            )
        return parent + child
    return f"{parent}/{child}"


def _kebab(name: str) -> str:
    return _CAPITAL.sub(lambda match: f"-{match[0].lower()}" if match.start() else match[0].lower(), name)


def _variable(name: str) -> str | None:
    """Read ``_openid_`` as ``{openid}``; probes such as ``_repr_html_`` and ``__len__`` are no variables."""
    if name.startswith(("__", "_repr_", "_ipython_")) and name not in {"_repr_", "_ipython_"}:
        return None
    body = name[1:-1]
    return f"{{{body}}}" if name.endswith("_") and is_expression(body) else None


def _segment(text: str, parent: str) -> str:
    if text.startswith("_"):
        return _variable(text) or text
    if text in _CAPITAL_NAMES and _below(parent) == _CAPITAL_PARENT:
        return text
    return _kebab(text) if _WORD.fullmatch(text) else text


def _below(parent: str) -> str:
    """Give the path of a template so far, lower-case, without host and outer slashes."""
    path = parent.partition("://")[2].partition("/")[2] if absolute(parent) else parent
    return path.strip("/").lower()
