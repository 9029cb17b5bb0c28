"""The way to WeChat Pay's hosts that ends at a sandbox: a proxy, by which some hosts cannot be reached."""

from __future__ import annotations

from tunnels import Tunnels


class Outage(Tunnels):
    """A proxy whose tunnels lead to one port of loopback, but for those to hosts that are away.

    Attributes:
        asked: The hosts that clients wanted to go to.
        away: The hosts that cannot be reached.
    """

    def __init__(self, port, *away):
        self.away = set(away)
        super().__init__(port)

    def leads_to(self, target):
        """Note the host, and tell whether it is there."""
        host = target.partition(":")[0]
        return super().leads_to(host) and host not in self.away
