"""The sandbox over TLS, with an authority of its own."""

from __future__ import annotations

import gc
import socket
import ssl
import tempfile
import time
from pathlib import Path

import pytest
import requests
import sandboxes
from cryptography import x509
from wire.clients import Sync

from wechatpay import Builder, ConfigurationError, TransportError
from wechatpay.sandbox import Sandbox, faults


@pytest.fixture
def instance(sandbox):
    """Give a Builder that calls it by HTTPS."""
    with Builder(**sandbox.settings(tls=True)) as instance:
        yield instance


def palm(client, instance):
    """Make a call that the sandbox responds to properly."""
    node = instance.v3.palmservice.authorization.openid._openid_
    return client.call(node, "get", openid="oUpF8uMuAJOM2pxb1Q", query={"organization_id": "1"})


def test_all_else_works_over_tls_too(client, sandbox, instance):
    """APIv3 is served by HTTPS as by HTTP, and a call without ``security`` presents no certificate."""
    assert 200 == palm(client, instance).status_code
    assert sandbox.requests[0].channel.is_encrypted
    assert not sandbox.requests[0].channel.certificate


def test_settings_for_tls_can_be_changed(client, sandbox):
    """Settings of the caller's own come over these, too."""
    with (
        Builder(**sandbox.settings(tls=True, verify=True)) as instance,
        pytest.raises(TransportError, match="nothing was sent"),
    ):
        palm(client, instance)


def test_session_trusts_the_authority_by_itself(sandbox):
    """A session has its own TLS settings, too, which a test gives the sandbox's authority."""
    with requests.Session() as session:
        session.trust_env, session.verify = False, sandbox.settings(tls=True)["verify"]
        with Builder(**sandbox.settings(tls=True, session=session)) as instance:
            assert 200 == palm(Sync(), instance).status_code

    assert sandbox.requests[0].channel.is_encrypted


def test_merchants_certificate_has_the_merchants_serial_number():
    """``apiclient_cert.pem`` is issued by the authority, for the key and the serial of the settings."""
    identity = sandboxes.identity()
    certificate = x509.load_pem_x509_certificate(identity.certificate.encode())
    certificate.verify_directly_issued_by(identity.authority.certificate)

    assert identity.serial == f"{certificate.serial_number:X}"
    assert identity.private_key.public_key() == certificate.public_key()


def test_certificates_hold_to_the_strict_rules(sandbox):
    """A client that checks certificates as Python 3.13 does believes the server."""
    context = ssl.create_default_context(cafile=sandbox.address.bundle)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    port = int(sandbox.address.tls.split(":")[2].strip("/"))
    with (
        socket.create_connection(("127.0.0.1", port), 10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as encrypted,
    ):
        assert encrypted.getpeercert()


def test_faults_come_over_tls(client, sandbox, instance):
    """A connection is reset under TLS, too."""
    sandbox.inject(faults.Reset())
    with pytest.raises(TransportError, match="outcome unknown"):
        palm(client, instance)


def test_idle_connection_is_closed_with_the_sandbox():
    """A client that never says good-bye leaves no socket open, and does not delay the end."""
    sandbox = Sandbox(identity=sandboxes.identity()).start()
    with Builder(**sandbox.settings(tls=True)) as instance:
        instance.v3.palmservice.authorization.openid["oUpF8uMuAJOM2pxb1Q"].get(query={"organization_id": "1"})
        begun = time.monotonic()
        sandbox.stop()
        gc.collect()

        assert time.monotonic() - begun < 4


def test_nothing_is_left_on_the_disk():
    """The CA bundle lies where others cannot read, without any key, and goes with the sandbox."""
    with Sandbox(identity=sandboxes.identity()) as sandbox:
        bundle = sandbox.address.bundle

        assert 0o700 == bundle.parent.stat().st_mode & 0o777
        assert [bundle] == list(bundle.parent.iterdir())
        assert "KEY" not in bundle.read_text()

    assert not bundle.parent.exists()


def test_bundle_of_a_failed_start_is_removed(sandbox, tmp_path, monkeypatch):
    """A sandbox that finds its port taken leaves no directory, whichever port it is."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    plain, tls = (int(url.split(":")[2].strip("/")) for url in (sandbox.base_uri, sandbox.address.tls))
    for ports in ({"port": plain}, {"tls_port": tls}):
        with pytest.raises(ConfigurationError, match=rf"port ({plain}|{tls}): "):
            Sandbox(identity=sandboxes.identity(), **ports).start()

    assert [] == list(tmp_path.iterdir())


def test_missing_directory_for_temporary_files_is_named(monkeypatch):
    """Without a place for the CA bundle, the error says what to set."""
    monkeypatch.setattr(tempfile, "tempdir", str(Path("/nowhere")))
    with pytest.raises(ConfigurationError, match="TMPDIR"):
        Sandbox(identity=sandboxes.identity()).start()


def test_private_things_are_not_shown():
    """No repr shows a key or a secret."""
    identity = sandboxes.identity()

    assert identity.secret not in repr(identity)
    assert "BEGIN" not in repr(identity)
