"""APIv2's side of the sandbox: XML, signed with a digest under the secret.

All of it is laid out a second time, on purpose: a sandbox that asked the client's own code how to read, write
and sign XML would agree with its mistakes.
"""

from __future__ import annotations
