"""APIv3's side of the sandbox: JSON, signed with RSA in headers.

The signed texts are laid out here a second time, on purpose: a sandbox that asked the client's own code what
to sign would agree with its mistakes.
"""

from __future__ import annotations
