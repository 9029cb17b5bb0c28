"""Targets: the exact path and query that are signed and sent, and the URLs they belong to.

A target is brought to the fixed point of both HTTP libraries before it is signed: unreserved characters,
sub-delims, ``: @ / ?`` and upper-case triplets only, so that neither rewrites what the signature covers.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final
from urllib.parse import quote

from wechatpay.errors import InvalidRequestError

__all__ = [
    "absolute",
    "authority",
    "encode",
    "folder",
    "is_normal",
    "refuse_unsafe",
    "split",
    "tidy",
]

# Sub-delims and the rest of pchar, and the two delimiters of a path and its query: RFC 3986, section 3.3.
_KEPT: Final = "!$&'()*+,;=:@/?"
_TIDY = re.compile(rf"(?:[A-Za-z0-9\-._~{re.escape(_KEPT)}]++|%[0-9A-F]{{2}})*+")
#: Matches a path, with or without its query, that both HTTP libraries leave as it is.
is_normal = re.compile(rf"(?![^?]*\?\Z){_TIDY.pattern}").fullmatch
_TRIPLET = re.compile(r"%[0-9A-Fa-f]{2}")
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_UNSAFE = re.compile(
    r"(?P<empty>//)"
    r"|(?P<dots>/(?:\.|%2[Ee]){1,2}(?=[/;]|\Z))"
    r"|(?P<control>[\r\n\0]|%0[ADad]|%00)"
    r"|(?P<backslash>\\)"
)
_REASONS: Final = {
    "empty": "an empty segment ('//')",
    "dots": "a dot segment ('.' or '..')",
    "control": "CR, LF or NUL",
    "backslash": "a backslash",
}
_ORIGIN = re.compile(
    r"(https?)://([a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::([1-9][0-9]{0,4}))?",
    re.IGNORECASE | re.ASCII,
)
_PORTS: Final = {"https": 443, "http": 80}
_LAST_PORT: Final = 65535


def encode(text: str, safe: str) -> str:
    """Percent-encode whatever is neither unreserved, nor in ``safe``, nor a triplet already.

    Raises:
        UnicodeEncodeError: ``text`` holds a lone surrogate.
    """
    return quote(_STRAY_PERCENT.sub("%25", text), safe=safe + "%")


def tidy(text: str) -> str:
    """Bring a part of a path or query to the form that both HTTP libraries leave alone.

    Triplets stay, upper-cased and never decoded; whatever a URI may not hold is percent-encoded as UTF-8.
    Idempotent.

    Raises:
        InvalidRequestError: ``text`` holds a lone surrogate.
    """
    if _TIDY.fullmatch(text):
        return text
    try:
        return _TRIPLET.sub(lambda match: match[0].upper(), encode(text, _KEPT))
    except UnicodeEncodeError:
        raise InvalidRequestError("the URI holds a lone surrogate: pass well-formed text") from None


def refuse_unsafe(path: str, what: str) -> None:
    """Refuse a path that a server, or a proxy on the way, may read as another one.

    Args:
        path: Without query and leading ``/``.
        what: What the error calls it.

    Raises:
        InvalidRequestError: It holds an empty segment, a dot segment, CR, LF, NUL or a backslash, encoded
            or not (the backslash only when not).
    """
    found = _UNSAFE.search(f"/{path}")
    if found:
        raise InvalidRequestError(
            f"{what} has a path with {_REASONS[str(found.lastgroup)]}, which is never sent"
        )


def absolute(text: str) -> bool:
    """Tell whether ``text`` begins with a scheme and ``//``; ``v3:x/y`` does not."""
    return _ABSOLUTE.match(text) is not None


def split(text: str) -> tuple[str, str, str]:
    """Split a path or an absolute URL into origin, path and query.

    Returns:
        Three strings such as ``https://host:port``, ``v3/x`` and ``a=1``: the path without its leading ``/``,
        the query without ``?``; the origin of what is relative is ``""``.
    """
    before, _, query = text.partition("?")
    if "://" not in before or not absolute(before):
        return "", before.removeprefix("/"), query
    scheme, _, rest = before.partition("://")
    host, _, path = rest.partition("/")
    return f"{scheme}://{host}", path, query


@lru_cache(64)
def folder(base_uri: str) -> str:
    """Return what a relative path is appended to, as RFC 3986 says: whatever follows the last ``/`` goes.

    Scheme and host are in lower case.

    Args:
        base_uri: Absolute, such as ``https://apihk.mch.weixin.qq.com/global/``.

    Raises:
        InvalidRequestError: ``base_uri`` is not absolute, or has a query, a fragment or an unsafe path.
    """
    if not absolute(base_uri) or "?" in base_uri or "#" in base_uri:
        raise InvalidRequestError(
            "base_uri must be an absolute URL without query and fragment: https://host/folder/"
        )
    origin, path, _ = split(base_uri)
    refuse_unsafe(path, "base_uri")
    return f"{origin.lower()}/{tidy(path[: path.rfind('/') + 1])}"


def authority(url: str) -> tuple[str, str, int]:
    """Read scheme, host and port of a finished URL; refuse what two parsers might read differently.

    Returns:
        Scheme and host in lower case, and the port: the one given, or the scheme's own.

    Raises:
        InvalidRequestError: It is no ``http`` or ``https`` URL, or it has user info, a fragment, a
            backslash, white space, characters outside ASCII, an empty label in the host, a bad port, or a
            ``//`` path.
    """
    origin, path, query = split(url)
    match = _ORIGIN.fullmatch(origin)
    if not match or path.startswith("/") or not _TIDY.fullmatch(path) or not _TIDY.fullmatch(query):
        raise InvalidRequestError(
            "a URL must read https://host/path: no user info, fragment, backslash, white space, non-ASCII "
            "character or final dot in the host, and a port, if any, that is a plain number"
        )
    scheme = match[1].lower()
    port = int(match[3]) if match[3] else _PORTS[scheme]
    if port > _LAST_PORT:
        raise InvalidRequestError(f"port {port} does not exist: the last one is {_LAST_PORT}")
    return scheme, match[2].lower(), port
