"""Access tokens on a Redis server, for processes and machines."""

from __future__ import annotations

import contextlib
import json
import math
import time
from typing import TYPE_CHECKING, Any

from wechatpay.errors import ConfigurationError, ConnectError
from wechatpay.tokens.store import LEASE_SECONDS, decode, encode, parsed

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis

    from wechatpay.tokens.store import Token

__all__ = ["RedisTokens"]

#: Seconds to wait for the server, unless the URL says otherwise.
_TIMEOUT = 5.0

#: Takes a lock away only from the lease that has it. https://redis.io/docs/latest/commands/set/#patterns
_RELEASE = 'if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("del", KEYS[1]) end return 0'


class RedisTokens:
    """Keeps tokens on a Redis server; needs ``pip install 'wechatpay-chainable[redis]'``.

    ::

        RedisTokens("redis://:password@host:6379/0")
        RedisTokens(client)                             # a redis.Redis of your own
    """

    def __init__(self, server: str | redis.Redis, *, prefix: str = "wechatpay:token:") -> None:
        """Choose the server; nothing is sent yet.

        Args:
            server: A URL (``redis://``, ``rediss://``, ``unix://``), or a client. A call runs sync on the
                thread that asks or, if it is async, on a thread beside the event loop: the client is the
                blocking one.
            prefix: What keys begin with, when several deployments share a server.

        Raises:
            ConfigurationError: The client's library is not installed, or ``server`` is none of these.
        """
        try:
            import redis  # noqa: PLC0415  an extra
        except ImportError:
            raise ConfigurationError(
                "tokens: RedisTokens needs redis: pip install 'wechatpay-chainable[redis]'"
            ) from None
        self._failure = redis.RedisError
        self._client: Any = server
        self._prefix = prefix
        if isinstance(server, str):
            try:
                self._client = redis.Redis.from_url(
                    server, socket_timeout=_TIMEOUT, socket_connect_timeout=_TIMEOUT
                )
            except (ValueError, TypeError):
                # The library's own words could quote the password.
                raise ConfigurationError(
                    "tokens: give the URL of a Redis server as redis://host:6379/0"
                ) from None
        elif not isinstance(server, redis.Redis | redis.RedisCluster):
            raise ConfigurationError(
                f"tokens: give a URL or a redis.Redis, the blocking client, not {type(server).__name__}"
            )

    def get(self, key: str) -> Token | None:
        """Ask for the token, if there is one.

        Raises:
            ConnectError: The server gives no answer.
        """
        with self._explained():
            text = self._client.get(self._prefix + key)
        return None if text is None else decode(parsed(text))

    def put(self, key: str, token: Token) -> None:
        """Store a token in place of the last one, until it is no longer good.

        Raises:
            ConnectError: The server gives no answer.
        """
        seconds = math.ceil(token.good_until - time.time())
        with self._explained():
            self._client.set(self._prefix + key, json.dumps(encode(token)), ex=max(1, seconds))

    def acquire(self, key: str, lease: str) -> bool:
        """Lock ``key`` for ``lease``, unless another has it; it opens by itself after half a minute.

        Raises:
            ConnectError: The server gives no answer.
        """
        with self._explained():
            return bool(
                self._client.set(f"{self._prefix}{key}:lock", lease, nx=True, px=int(LEASE_SECONDS * 1000))
            )

    def release(self, key: str, lease: str) -> None:
        """Unlock ``key`` if ``lease`` has it.

        Raises:
            ConnectError: The server gives no answer.
        """
        with self._explained():
            self._client.eval(_RELEASE, 1, f"{self._prefix}{key}:lock", lease)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except self._failure as error:
            raise ConnectError(
                f"nothing was sent: the Redis server that keeps the tokens fails ({type(error).__name__})"
            ) from None

    def __repr__(self) -> str:
        return f"<RedisTokens {self._prefix}>"
