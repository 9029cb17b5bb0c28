"""Where downloads come from: WeChat Pay, or another worker that asked already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from wechatpay.errors import ConfigurationError, WeChatPayError
from wechatpay.platform.schedule import INTERVAL

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from wechatpay.crypto.suites import Suite
    from wechatpay.messages import Request, Response
    from wechatpay.middleware import Flow
    from wechatpay.platform.download import Download
    from wechatpay.platform.keyring import Keyring

__all__ = ["Downloader", "Source"]

#: Makes the request for the certificates, and the flow that signs and sends it.
Source: TypeAlias = "Callable[[], tuple[Request, Flow]]"

#: Seconds by which the clocks of two workers may differ.
_SKEW = 300


class Downloader:
    """Gets the list of certificates, and believes it only when it is proved.

    Attributes:
        source: How to ask WeChat Pay; ``None`` where there is no protocol to ask by.
    """

    def __init__(
        self,
        apiv3_key: bytes | None,
        clock: Callable[[], float],
        known: Callable[[], Keyring],
        suite: Callable[[], Suite] | None = None,
    ) -> None:
        """Begin.

        Args:
            apiv3_key: Decrypts the certificates; ``None`` if there is nothing to download.
            clock: Returns Unix seconds.
            known: Returns the keys believed so far.
            suite: Returns the algorithms that the merchant signs by; RSA's by default.
        """
        self._apiv3_key = apiv3_key
        self._clock = clock
        self._known = known
        self._suite = suite
        self.source: Source | None = None

    @property
    def is_able(self) -> bool:
        """Whether there is all that it takes to ask."""
        return self._apiv3_key is not None and self.source is not None

    def fetch(self) -> Generator[Any, Any, Download]:
        """Ask WeChat Pay; a generator of effects.

        Raises:
            WeChatPayError: No answer came, or none that is proved.
        """
        if self.source is None:
            raise ConfigurationError("apiv3_key: certificates are downloaded by a Builder alone")
        request, flow = self.source()
        response = yield from flow
        return self._proven(response, self._clock(), request)

    def recall(self, response: Response) -> Download | None:
        """Prove what another worker left; ``None`` unless it is newer than what we have, and not old."""
        try:
            download = self._proven(response, int(response.headers["Wechatpay-Timestamp"]))
        except (WeChatPayError, ValueError):
            return None
        is_fresh = -_SKEW <= self._clock() - download.as_of < INTERVAL
        return download if is_fresh and download.as_of > self._known().as_of else None

    def _proven(self, response: Response, signed_about: float, request: Request | None = None) -> Download:
        from wechatpay.platform.download import Download  # noqa: PLC0415  `cryptography` is heavy

        if self._apiv3_key is None:
            raise ConfigurationError("apiv3_key: missing; WeChat Pay's certificates are encrypted with it")
        return Download.proven(
            response,
            apiv3_key=self._apiv3_key,
            known=self._known(),
            signed_about=signed_about,
            now=self._clock(),
            suite=self._suite() if self._suite else None,
            request=request,
        )
