"""What a caller may pass with a verb: the template's variables and these options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wechatpay import uri
from wechatpay.errors import InvalidRequestError
from wechatpay.messages import Call, is_word

__all__ = ["OPTIONS", "call", "headers"]

OPTIONS = frozenset(
    {
        "base_uri",
        "body",
        "check",
        "debug",
        "encrypt_sensitive",
        "headers",
        "json",
        "media",
        "nonceless",
        "query",
        "security",
        "sink",
        "timeout",
        "xml",
    }
)

#: What to do here instead of a Guzzle option that ported code may carry.
_ELSEWHERE = {
    "allow_redirects": "redirects are never followed: a 3xx raises RedirectError",
    "auth": "requests are signed by the core",
    "cert": "give `merchant` to the constructor and `security=True` to the call",
    "connect_timeout": "use timeout=(connect, read)",
    "cookies": "cookies are never sent",
    "form_params": "use `body` or `media`",
    "handler": "edit the stack: getDriver().select().stack",
    "http_errors": "an error response is always raised: catch APIError and read its .response",
    "multipart": "use `media`, or `body` with your own Content-Type",
    "proxy": "give `proxies` to the constructor",
    "read_timeout": "use timeout=(connect, read)",
    "ssl_key": "give `merchant` to the constructor and `security=True` to the call",
    "stream": "use `sink`",
    "verify": "give `verify` to the constructor",
}

#: Headers that the core writes itself.
_OURS = frozenset({"authorization", "host", "content-length", "transfer-encoding", "connection"})

_BODIES = ("json", "xml", "body", "media")


def call(verb: str, template: str, options: Any, keywords: Mapping[str, Any]) -> Call:
    """Sort what was passed with a verb into the template's variables and the options.

    Raises:
        InvalidRequestError: A name is given twice, is unknown, or is both a variable and an option; or more
            than one body is given.
    """
    given = _merge(options, keywords)
    names = uri.names(template)
    if names and not OPTIONS.isdisjoint(names):
        clash = ", ".join(sorted(OPTIONS & names))
        raise InvalidRequestError(
            f"{uri.cite(template)}: the variable {clash} has the name of an option: call it otherwise"
        )
    chosen: dict[str, Any] = {}
    variables: dict[str, Any] = {}
    for name, value in given.items():
        if name in names:
            variables[name] = value
        elif name in OPTIONS:
            chosen[name] = value
        else:
            raise InvalidRequestError(_unknown(name, template, names))
    if len(bodies := [name for name in _BODIES if chosen.get(name) is not None]) > 1:
        raise InvalidRequestError(f"{' and '.join(bodies)}: a request has one body; give one of them")
    return Call(verb, template, variables, chosen)


def _merge(options: Any, keywords: Mapping[str, Any]) -> Mapping[str, Any]:
    if options is None:
        return keywords
    if not isinstance(options, Mapping):
        raise InvalidRequestError(
            f"a verb takes a mapping of options and keywords, not {type(options).__name__}"
        )
    if twice := options.keys() & keywords.keys():
        raise InvalidRequestError(
            f"{', '.join(sorted(twice))}: given in the mapping and as a keyword; give it once"
        )
    return {**options, **keywords}


def _unknown(name: object, template: str, names: frozenset[str]) -> str:
    if not isinstance(name, str):
        return f"the name of an option or variable is text, not {type(name).__name__}"
    if name in _ELSEWHERE:
        return f"{name} is not an option: {_ELSEWHERE[name]}"
    text = f"{name} is neither an option nor a variable of {uri.cite(template)}"
    import difflib  # noqa: PLC0415  only mistakes need it

    if close := difflib.get_close_matches(name, OPTIONS | names, 1):
        return f"{text}; did you mean {close[0]}?"
    return f"{text}; options are {', '.join(sorted(OPTIONS))}"


def headers(value: Any) -> Mapping[str, str | None]:
    """Check headers from a caller: ASCII text without line breaks, none of those the core writes.

    Beyond ASCII the HTTP libraries part: requests sends latin-1, aiohttp UTF-8.

    Raises:
        InvalidRequestError: A header is not one a caller may set, or would not survive the wire.
    """
    if not isinstance(value, Mapping):
        raise InvalidRequestError("headers: give a mapping of names to text; None removes one header")
    for name, text in value.items():
        if not isinstance(name, str) or not is_word(name):
            raise InvalidRequestError(f"headers: {name!r} is not a header name")
        lowered = name.lower()
        if lowered in _OURS:
            raise InvalidRequestError(f"headers: {name} is written by the core; leave it out")
        if text is None and lowered != "user-agent":
            continue
        if not isinstance(text, str) or not _is_field(text) or (lowered == "user-agent" and not text):
            least = "at least one character of " if lowered == "user-agent" else ""
            raise InvalidRequestError(
                f"headers: the value of {name} must be {least}printable ASCII text, no blanks around it; "
                "percent-encode or base64 anything else"
            )
    return value


def _is_field(text: str) -> bool:
    return text.isascii() and text.replace("\t", " ").isprintable() and text == text.strip()
