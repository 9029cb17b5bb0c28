"""A Redis server that callers name by a URL or a client of their own; its failures are ours."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from wechatpay.errors import ConfigurationError, ConnectError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis

__all__ = ["RedisServer"]

#: Seconds to wait for a Redis server, unless its URL says otherwise.
_TIMEOUT = 5.0


class RedisServer:
    """A Redis server.

    Attributes:
        client: A blocking client, of any type if it is the caller's.
    """

    def __init__(self, server: str | redis.Redis, user: str, setting: str, consequence: str) -> None:
        """Choose the server; nothing is sent yet.

        Args:
            server: A URL (``redis://``, ``rediss://``, ``unix://``), or a blocking client.
            user: The class that uses it, for errors.
            setting: The setting that names it, for errors.
            consequence: What follows when the server fails, for errors.

        Raises:
            ConfigurationError: The library ``redis`` is not installed, or ``server`` is neither of these.
        """
        try:
            import redis  # noqa: PLC0415  an extra
        except ImportError:
            raise ConfigurationError(
                f"{setting}: {user} needs redis: pip install 'wechatpay-chainable[redis]'"
            ) from None
        self._error = redis.RedisError
        self._setting = setting
        self._consequence = consequence
        self.client: Any = server
        if isinstance(server, str):
            try:
                self.client = redis.Redis.from_url(
                    server, socket_timeout=_TIMEOUT, socket_connect_timeout=_TIMEOUT
                )
            except (ValueError, TypeError):
                # The library's own message may quote the password.
                raise ConfigurationError(
                    f"{setting}: give the URL of a Redis server as redis://host:6379/0"
                ) from None
        elif not isinstance(server, redis.Redis | redis.RedisCluster):
            raise ConfigurationError(
                f"{setting}: give a URL or a redis.Redis, the blocking client, not {type(server).__name__}"
            )

    @contextlib.contextmanager
    def translate_errors(self) -> Iterator[None]:
        """Raise what the library raises as an error of ours.

        Raises:
            ConnectError: The server failed.
        """
        try:
            yield
        except self._error as error:
            raise ConnectError(
                f"{self._setting}: the Redis server failed ({type(error).__name__}): {self._consequence}"
            ) from None
