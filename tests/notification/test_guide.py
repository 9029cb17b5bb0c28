"""The transaction that the guide shows keeps what stores promise."""

from __future__ import annotations

import pages
from notification.callbacks import ORDER, envelope, handler, signed

BODY = envelope()


def paste(text, names):
    """Run the one block of the guide that holds ``text``, but for its last statement, which uses it."""
    (block,) = (
        block for block in pages.blocks(pages.ROOT / "docs" / "notifications.md") if text in block.text
    )
    source = block.text.rstrip().rpartition("\n\n\n")[0]
    exec(compile(source, "notifications.md", "exec"), names)
    return names


def test_guides_transaction_handles_an_event_once():
    """Even when nothing else remembers: the event and its effect are one."""
    settled = []
    names = paste("def paid_once", {"settle": lambda *what: settled.append(what)})
    found = handler().parse(signed(BODY), BODY)
    for _ in range(2):
        names["paid_once"](found)
    names["database"].close()

    assert [(ORDER["out_trade_no"], 100)] == settled
