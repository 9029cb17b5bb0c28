"""Posting callbacks to servers on this machine, and to no other."""

from __future__ import annotations

import ipaddress
import re
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from wechatpay.errors import ConfigurationError, ConnectError, NoResponseError, ReadTimeoutError
from wechatpay.messages import Headers
from wechatpay.sandbox.callbacks.callback import Reply

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from wechatpay.sandbox.callbacks.callback import Callback

__all__ = ["check", "post"]

#: Seconds that WeChat Pay waits for a reply.
_PATIENCE = 5.0

_TAKEN = (200, 204)
_SUCCESS = re.compile(rb"<return_code>\s*(<!\[CDATA\[)?SUCCESS\b")


def check(url: str) -> SplitResult:
    """Take a URL apart that a callback may be sent to.

    Raises:
        ConfigurationError: It does not lead to this machine, or is none that WeChat Pay takes.
    """
    try:
        parts = urlsplit(url)
        is_ours = parts.scheme == "http" and _is_loopback(parts.hostname or "") and parts.port != 0
    except ValueError:
        is_ours = False
    if not is_ours or parts.username is not None:
        raise ConfigurationError(
            "url: the sandbox calls nobody but this machine; give http://127.0.0.1:<port>/<path>"
        )
    if parts.query or parts.fragment or not url.isascii() or not url.isprintable() or " " in url:
        raise ConfigurationError(
            "url: WeChat Pay takes a plain one, without query and fragment, in ASCII without spaces"
        )
    return parts


def post(url: str, callback: Callback) -> Reply:
    """Post a callback, and wait for the reply as long as WeChat Pay does.

    Redirects are not followed, and proxies not used.

    Raises:
        ConfigurationError: The URL does not lead to this machine.
        ConnectError: Nobody listens there.
        ReadTimeoutError: No reply came within 5 s.
        NoResponseError: The connection broke.
    """
    parts = check(url)
    connection = HTTPConnection(parts.hostname or "", parts.port or 80, timeout=_PATIENCE)
    with closing(connection):
        _connect(connection, url)
        try:
            connection.request("POST", parts.path or "/", callback.body, dict(callback.headers))
            answer = connection.getresponse()
            status, headers, body = answer.status, Headers(answer.getheaders()), answer.read()
        except TimeoutError:
            raise ReadTimeoutError(
                f"{url} did not reply within {_PATIENCE:g} s, as WeChat Pay wants"
            ) from None
        except (OSError, HTTPException) as error:
            raise NoResponseError(f"{url} broke the connection: {error or type(error).__name__}") from None
    is_xml = callback.body.lstrip().startswith(b"<")
    is_acknowledged = status in _TAKEN and (not is_xml or _SUCCESS.search(body) is not None)
    return Reply(status, headers, body, is_acknowledged)


def _connect(connection: HTTPConnection, url: str) -> None:
    try:
        connection.connect()
    except OSError as error:
        raise ConnectError(f"{url}: nobody listens there ({error.strerror or error})") from None
    # A name is what the system says it is, even this one.
    if not _is_loopback(connection.sock.getpeername()[0]):
        raise ConfigurationError(
            "url: localhost is another machine here; give http://127.0.0.1:<port>/<path>"
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
