"""``wechatpay explain``: what the documents say about a path, an event, an error code or a Request-ID."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["explain"]


def explain(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TOPIC",
            help="A path such as v3/pay/transactions/jsapi, also with a verb before it, a URL, an event, "
            "a code or a Request-ID.",
        ),
    ] = None,
    search: Annotated[str, typer.Option(help="Find operations by words of their title or path.")] = "",
) -> None:
    """Print what the documents say about an operation, an event, an error code or a Request-ID.

    Exits with 1 if nothing is known.
    """
    from wechatpay import catalogue  # noqa: PLC0415  other commands need not load it
    from wechatpay.catalogue.describe import explain_topic, suggest_topic, summarize  # noqa: PLC0415  the same

    topic = " ".join(words or ())
    if search:
        text = "\n".join(map(summarize, catalogue.search(search)))
    elif topic:
        text = explain_topic(topic)
    else:
        raise typer.BadParameter("give a topic, or --search with words")
    if not text:
        hint = suggest_topic(topic) or "try --search with words of its title"
        typer.echo(f"wechatpay: nothing is known about {search or topic!r}: {hint}", err=True)
        raise typer.Exit(1)
    typer.echo(text)
