"""What a caller may pass with a verb: the template's variables and these options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wechatpay import uri
from wechatpay.errors import InvalidRequestError, ask_catalogue, shorten
from wechatpay.messages import Call, is_word

__all__ = ["OPTIONS", "VERBS", "WRITTEN_HEADERS", "Arguments", "read_call", "read_headers"]

VERBS = ("GET", "POST", "PUT", "PATCH", "DELETE")

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

#: Options that are on or off.
_SWITCHES = frozenset({"check", "debug", "encrypt_sensitive", "nonceless", "security"})

#: What to do here instead of a Guzzle option that ported code may carry.
_ELSEWHERE = {
    "allow_redirects": "redirects are never followed: a 3xx raises RedirectError",
    "auth": "requests are signed by the core",
    "cert": "give `merchant` to the constructor and `security=True` to the call",
    "connect_timeout": "use timeout=(connect, read)",
    "cookies": "cookies are never sent",
    "data": "use `json` or `xml` for members, `body` for text or bytes",
    "form_params": "use `body` or `media`",
    "handler": "edit the stack: getDriver().select().stack",
    "http_errors": "an error response is always raised: catch APIError and read its .response",
    "multipart": "use `media`, or `body` with your own Content-Type",
    "params": "use `query`",
    "proxy": "give `proxies` to the constructor",
    "read_timeout": "use timeout=(connect, read)",
    "ssl_key": "give `merchant` to the constructor and `security=True` to the call",
    "stream": "use `sink`",
    "verify": "give `verify` to the constructor",
}

#: Headers that the core writes itself.
WRITTEN_HEADERS = frozenset({"authorization", "host", "content-length", "transfer-encoding", "connection"})

_BODIES = ("json", "xml", "body", "media")


class Arguments(tuple[Any, Mapping[str, Any]]):
    """The mapping and the keywords that a verb was called with.

    Error trackers record the local variables of every frame that an error passes: the ``repr`` hides them.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "<Arguments>"


def read_call(verb: str, plan: uri.Plan, arguments: Arguments) -> Call:
    """Sort what was passed with a verb into the template's variables and the options.

    Raises:
        InvalidRequestError: A name is given twice, is unknown, or is both a variable and an option; an
            option that is on or off is not a ``bool``; or more than one body is given.
    """
    variables: dict[str, Any] = {}
    chosen: dict[str, Any] = {}
    if flaw := _sort(verb, plan, variables, chosen, *arguments):
        del variables, chosen
        raise InvalidRequestError(flaw)
    return Call(verb, plan, variables, chosen)


def _sort(  # noqa: PLR0913, PLR0917  what the caller unpacks
    verb: str,
    plan: uri.Plan,
    variables: dict[str, Any],
    chosen: dict[str, Any],
    options: Any,
    given: Mapping[str, Any],
) -> str:
    """Fill in ``variables`` and ``chosen``; say what is wrong, or return ``""``."""
    if options is not None:
        if not isinstance(options, Mapping):
            return f"a verb takes a mapping of options and keywords, not {type(options).__name__}"
        if twice := options.keys() & given.keys():
            repeated = ", ".join(map(shorten, sorted(twice)))
            return f"{repeated}: given in the mapping and as a keyword; give it once"
        given = {**options, **given}
    names = plan.names
    for name, value in given.items():
        if name in names:
            variables[name] = value
        elif name in OPTIONS:
            chosen[name] = value
        elif not (name == "allow_redirects" and value is False):
            return _unknown(name, verb, plan)
    return _find_conflict(plan, chosen)


def _find_conflict(plan: uri.Plan, chosen: dict[str, Any]) -> str:
    if clash := plan.names & OPTIONS:
        quoted = uri.quote(plan.template)
        return (
            f"{quoted}: the variable {', '.join(sorted(clash))} has the name of an option: call it otherwise"
        )
    for name in _SWITCHES & chosen.keys():
        if not isinstance(chosen[name], bool):
            return f"{name}: give True or False, not {type(chosen[name]).__name__}"
    bodies = chosen.keys() & _BODIES
    if len(bodies) > 1 and len(bodies := {name for name in bodies if chosen[name] is not None}) > 1:
        names_of_bodies = " and ".join(name for name in _BODIES if name in bodies)
        return f"{names_of_bodies}: a request has one body; give one of them"
    return ""


def _unknown(name: object, verb: str, plan: uri.Plan) -> str:
    if not isinstance(name, str):
        return f"the name of an option or variable is text, not {type(name).__name__}"
    if name in _ELSEWHERE:
        return f"{name} is not an option: {_ELSEWHERE[name]}"
    text = f"{shorten(name)} is neither an option nor a variable of {uri.quote(plan.template)}"
    import difflib  # noqa: PLC0415  only mistakes need it

    if place := ask_catalogue(_place, name, verb, plan.template, default=""):
        return f"{text}; did you mean {place}={{{name!r}: ...}}?"
    if close := difflib.get_close_matches(name, OPTIONS | plan.names, 1):
        return f"{text}; did you mean {close[0]}?"
    return f"{text}; options are {', '.join(sorted(OPTIONS))}"


def _place(name: str, verb: str, template: str) -> str:
    """Return the option that a documented member of the operation belongs into, or ``""``."""
    from wechatpay.catalogue.lookup import find  # noqa: PLC0415  only mistakes need it

    operation = find(verb, template)
    if operation is None:
        return ""
    places = {"query": operation.query, operation.body_kind: operation.body}
    return next((place for place, fields in places.items() if name in fields), "")


def read_headers(value: Any) -> dict[str, str | None]:
    """Check headers from a caller: ASCII text without line breaks, none of those the core writes.

    Beyond ASCII the HTTP libraries differ: requests sends latin-1, aiohttp UTF-8.

    Returns:
        The same, of plain ``str``.

    Raises:
        InvalidRequestError: A header is not one a caller may set, or would not survive the wire.
    """
    if flaw := _find_header_flaw(value):
        del value
        raise InvalidRequestError(flaw)
    return {str.__str__(name): None if text is None else str.__str__(text) for name, text in value.items()}


def _find_header_flaw(headers: Any) -> str:
    if not isinstance(headers, Mapping):
        return "headers: give a mapping of names to text; None removes one header"
    for name, text in headers.items():
        if not isinstance(name, str) or not is_word(str.__str__(name)):
            return f"headers: {shorten(repr(name))} is not a header name"
        lowered = str.__str__(name).lower()
        if lowered in WRITTEN_HEADERS:
            return f"headers: {name} is written by the core; leave it out"
        if text is None and lowered != "user-agent":
            continue
        is_agent = lowered == "user-agent"
        if not isinstance(text, str) or not _is_field(str.__str__(text)) or (is_agent and not text):
            least = "at least one character of " if is_agent else ""
            return (
                f"headers: the value of {name} must be {least}printable ASCII text, no blanks around it; "
                "percent-encode or base64 anything else"
            )
    return ""


def _is_field(text: str) -> bool:
    return text.isascii() and text.replace("\t", " ").isprintable() and text == text.strip()
