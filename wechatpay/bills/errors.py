"""What can be wrong with a bill; both are errors of :mod:`wechatpay.errors`'s tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from wechatpay.errors import APIError, DecodeError, VerificationError

if TYPE_CHECKING:
    from datetime import date, datetime

    from wechatpay.messages import Request, Response

__all__ = ["BillFormatError", "BillNotReadyError", "DigestError"]


class BillFormatError(DecodeError):
    """A file is not a bill, or a line of it is damaged.

    Attributes:
        line: The number of the line, from 1; 0 if no single line is wrong.
    """

    def __init__(
        self,
        message: str = "",
        *,
        line: int = 0,
        request: Request | None = None,
        response: Response | None = None,
    ) -> None:
        super().__init__(f"line {line}: {message}" if line else message, request=request, response=response)
        self.line = line


class DigestError(VerificationError):
    """A file does not match the digest that WeChat Pay gave for it; nothing of it was kept.

    Attributes:
        expected: The digest in the signed response, in hex; ``""`` if there was none.
        actual: The digest of what came, in hex; ``""`` if it has none, as when it cannot be unpacked.
    """

    def __init__(
        self,
        message: str = "",
        *,
        expected: str = "",
        actual: str = "",
        request: Request | None = None,
        response: Response | None = None,
    ) -> None:
        super().__init__(message, request=request, response=response)
        self.expected = expected
        self.actual = actual


class BillNotReadyError(APIError):
    """The bill does not exist yet; `ready_at` says when to fetch it.

    Attributes:
        ready_at: When to fetch it, in the time of Beijing; ``None`` if that is not known.
    """

    ready_at: datetime | None = None

    @classmethod
    def until(cls, ready_at: datetime, day: date, error: APIError) -> Self:
        """Make the error from WeChat Pay's own, which says less."""
        made = cls(
            f"the bill of {day} does not exist yet: fetch it after {ready_at:%Y-%m-%d %H:%M}, Beijing time "
            f"({error.code} {error.message})",
            status_code=error.status_code,
            code=error.code,
            message=error.message,
            detail=error.detail,
            retryable=error.retryable,
            verified=error.verified,
            request=error.request,
            response=error.response,
        )
        made.ready_at = ready_at
        return made
