"""What APIv3 is asked for, once a request's signature and parameters are in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wechatpay.sandbox.apiv3.uploads import Upload

__all__ = ["Question"]


@dataclass(frozen=True, slots=True)
class Question:
    """A request whose signature and parameters are in order.

    Attributes:
        mchid: Who asks.
        variables: The variables of the path, decoded.
        query: The parameters of the query, decoded.
        upload: The file that came along; or ``None``.
    """

    mchid: str
    variables: Mapping[str, str]
    query: Mapping[str, str]
    upload: Upload | None = None

    def echo(self, *names: str) -> dict[str, str]:
        """Return those of the query's parameters that were given."""
        return {name: self.query[name] for name in names if name in self.query}
