"""A callback, ready to be posted, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wechatpay.messages import Headers

__all__ = ["Callback", "Delivered", "Reply"]


@dataclass(frozen=True, slots=True, repr=False)
class Callback:
    """One callback, signed and encrypted, for any HTTP library or test client.

    ::

        client.post("/wechatpay/notify", data=callback.body, headers=callback.headers)  # Flask
        client.post(                                                                     # Django
            "/wechatpay/notify", callback.body, callback.content_type, headers=callback.headers
        )
        client.post("/wechatpay/notify", content=callback.body, headers=callback.headers)  # FastAPI

    Attributes:
        headers: Its headers, ``Content-Type`` among them.
        body: Its body, exactly as it was signed.
    """

    headers: Mapping[str, str]
    body: bytes

    @property
    def content_type(self) -> str:
        """The media type of the body."""
        return self.headers["Content-Type"]

    def __repr__(self) -> str:
        return f"<Callback {self.content_type}, {len(self.body)} bytes>"


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered to a callback.

    Attributes:
        status: HTTP status.
        headers: Headers, case-insensitive.
        body: Body bytes.
        is_acknowledged: Whether WeChat Pay takes it for received, and would not deliver the event again.
    """

    status: int
    headers: Headers
    body: bytes
    is_acknowledged: bool


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of an event.

    Attributes:
        callback: The last callback that told it.
        replies: What the server answered, one for each delivery.
    """

    callback: Callback
    replies: tuple[Reply, ...]

    @property
    def status(self) -> int:
        """HTTP status of the last reply."""
        return self.replies[-1].status

    @property
    def headers(self) -> Headers:
        """Headers of the last reply."""
        return self.replies[-1].headers

    @property
    def body(self) -> bytes:
        """Body of the last reply."""
        return self.replies[-1].body

    @property
    def is_acknowledged(self) -> bool:
        """Whether WeChat Pay would not deliver it again."""
        return self.replies[-1].is_acknowledged
