"""The calls that the demo makes: four documented operations, each in three spellings."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wechatpay.builder import Builder, Node

__all__ = ["EXAMPLES", "SPELLINGS", "Example"]

#: How the three spellings are called.
SPELLINGS = ("attributes", "chain()", "[…]")

_PAYER = "oUpF8uMuAJOM2pxb1Q"


@dataclass(frozen=True, slots=True)
class Example:
    """One operation, spelled three times.

    Attributes:
        title: WeChat Pay's name for it.
        question: What it asks.
        attributes: The spelling in attributes, without the root.
        chain: The argument of ``chain()``.
        item: What stands in ``[…]``.
        arguments: What the verb is called with.
    """

    title: str
    question: str
    attributes: str
    chain: str
    item: str
    arguments: Mapping[str, Any]

    def nodes(self, instance: Builder) -> Mapping[str, Node]:
        """Return the node that each spelling makes."""
        attributes: Any = functools.reduce(getattr, self.attributes.split("."), instance)
        made = (attributes, instance.chain(self.chain), instance[self.item])
        return dict(zip(SPELLINGS, made, strict=True))

    def sources(self) -> Mapping[str, str]:
        """Return each spelling as a program has it."""
        made = (f"instance.{self.attributes}", f'instance.chain("{self.chain}")', f'instance["{self.item}"]')
        return dict(zip(SPELLINGS, made, strict=True))


EXAMPLES = (
    Example(
        "通过用户标识查询签约",
        "Which contracts has a payer signed?",
        "v3.eduPapay.user._openid_.contracts",
        "v3/edu-papay/user/<openid>/contracts",
        "v3/edu-papay/user/{openid}/contracts",
        {"openid": _PAYER, "query": {"appid": "wxd678efh567hg6787", "plan_id": "12535", "limit": 1}},
    ),
    Example(
        "商圈积分授权查询",
        "May a business circle collect a payer's points?",
        "v3.businesscircle.userAuthorizations._openid_",
        "v3/businesscircle/user-authorizations/<openid>",
        "v3/businesscircle/user-authorizations/{openid}",
        {"openid": _PAYER, "query": {"appid": "wxd678efh567hg6787"}},
    ),
    Example(
        "从业机构查询与用户授权记录（授权协议号）",
        "How does an authorization of the pay score stand?",
        "v3.payscore.acquiringbank.permissions.authorizationCode._authorization_code_",
        "v3/payscore/acquiringbank/permissions/authorization-code/<authorization_code>",
        "v3/payscore/acquiringbank/permissions/authorization-code/{authorization_code}",
        {
            "authorization_code": "1275342195190894594",
            "query": {
                "service_id": "500001",
                "channel_id": "2000000000000000000000000001",
                "sub_mchid": "1900000109",
            },
        },
    ),
    Example(
        "查询刷掌授权",
        "May a payer pay by palm?",
        "v3.palmservice.authorization.openid._openid_",
        "v3/palmservice/authorization/openid/<openid>",
        "v3/palmservice/authorization/openid/{openid}",
        {"openid": _PAYER, "query": {"organization_id": "1"}},
    ),
)
