"""A certificate authority and a TLS server on loopback, made at run time."""

from __future__ import annotations

import ssl

import authority as issuing


def authority(folder):
    """Write the authority's certificate, and return the path of the bundle."""
    bundle = folder / "authority.pem"
    bundle.write_text(issuing.root())
    return bundle


def server(folder):
    """Make the TLS context of a server on loopback, certified by the authority."""
    return issuing.server_context(folder)


def elsewhere(folder):
    """Make the TLS context of a server that the authority certified, but not for this host: itself."""
    file = folder / "elsewhere.pem"
    file.write_text(issuing.root() + issuing.key_pem("authority"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)
    return context
