"""TLS: whose certificates are accepted, and what a failed handshake is."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
from pathlib import Path

import pytest
import requests
from wire import certificates
from wire.clients import Async
from wire.gateway import Gateway, signed

from wechatpay import ConfigurationError, ConnectError, ReadTimeoutError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Give a folder with the authority's bundle, and the same as OpenSSL's hashed directory."""
    folder = tmp_path_factory.mktemp("tls")
    bundle = certificates.authority(folder)
    (folder / "hashed").mkdir()
    command = ["openssl", "x509", "-hash", "-noout", "-in", bundle]
    digest = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    (folder / "hashed" / f"{digest}.0").write_bytes(bundle.read_bytes())
    return folder


@pytest.fixture
def gateway(folder):
    """Give a gateway that speaks TLS."""
    gateway = Gateway(certificates.server(folder))
    yield gateway
    gateway.close()


@pytest.fixture(autouse=True)
def _no_bundle(monkeypatch):
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("name", ["authority.pem", "hashed"], ids=["bundle", "directory"])
def test_configured_authority_is_accepted(name, client, build, gateway, folder):
    """``verify`` names a bundle, or a directory as OpenSSL hashes it."""
    instance = build(verify=str(folder / name))

    assert 200 == client.call(instance.v3.x, "get").status_code
    assert 1 == len(gateway.seen)


@pytest.mark.parametrize("name", ["authority.pem", "hashed"], ids=["bundle", "directory"])
def test_configured_authority_may_be_a_url(name, client, build, gateway, folder):
    """``file://``, as keys may be."""
    instance = build(verify=(folder / name).as_uri())

    assert 200 == client.call(instance.v3.x, "get").status_code


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_bundle_of_the_environment_is_read_once(name, client, build, gateway, folder, monkeypatch):
    """As requests does, but sync and async, and at construction."""
    monkeypatch.setenv(name, str(folder / "authority.pem"))
    instance = build()
    monkeypatch.delenv(name)

    assert 200 == client.call(instance.v3.x, "get").status_code


def test_unknown_authority_is_refused_before_anything_is_sent(client, build, gateway):
    """A handshake that fails is not a connection: nothing left, so it is safe to send again."""
    instance = build(verify=True)
    with pytest.raises(ConnectError, match=r"nothing was sent.*SSLCertVerificationError"):
        client.call(instance.v3.x, "post", json={"secret": "S3CRET"})

    assert [] == gateway.seen


def test_certificate_of_another_host_is_refused(client, build, folder):
    """The name on the certificate counts, and not only who signed it."""
    gateway = Gateway(certificates.elsewhere(folder))
    try:
        instance = build(base_uri=gateway.url, verify=str(folder / "authority.pem"))
        with pytest.raises(ConnectError):
            client.call(instance.v3.x, "get")
    finally:
        gateway.close()

    assert [] == gateway.seen


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_no_verification_when_disabled(client, build, gateway, caplog):
    """``verify=False`` is for the caller who knows why; the log says so once, sync and async."""
    instance = build(verify=False)

    assert 200 == client.call(instance.v3.x, "get").status_code
    assert 200 == client.call(instance.v3.x, "get").status_code
    assert 1 == sum("verify=False" in record.getMessage() for record in caplog.records)


def test_plain_server_behind_https_is_a_connect_error(client, build):
    """Neither is a server that does not speak TLS at all."""
    plain = Gateway()
    plain.behaviour = lambda _, peer: peer.close()
    try:
        instance = build(base_uri=plain.url.replace("http:", "https:"), timeout=(5, 5))
        with pytest.raises(ConnectError):
            client.call(instance.v3.x, "get")
    finally:
        plain.close()

    assert [] == plain.seen


@pytest.mark.parametrize("verify", ["/no/such/bundle.pem", ""])
def test_bundle_that_is_not_there_is_refused_at_construction(verify, build):
    """Not at the first payment."""
    with pytest.raises(ConfigurationError, match="verify"):
        build(verify=verify)


def test_bundle_that_is_none_is_refused(client, build, tmp_path):
    """A file without certificates is named."""
    (tmp_path / "bundle.pem").write_text("nothing")
    with pytest.raises(ConfigurationError, match="verify"):
        client.call(build(verify=str(tmp_path / "bundle.pem")).v3.x, "get")


def test_session_brings_its_own_tls(build, gateway, folder):
    """Who brings a session has settled that there."""
    with requests.Session() as session:
        session.verify = os.fspath(folder / "authority.pem")

        assert 200 == build(session=session).v3.x.get().status_code


@pytest.mark.parametrize("ending", ["timeout", "response", "last response"])
def test_connection_is_closed_with_its_loop(ending, build, gateway, folder):
    """Also one that was given up in the middle, whose server does not say goodbye."""
    released = threading.Event()
    if ending == "timeout":
        gateway.behaviour = lambda _, __: released.wait(5)
    if ending == "last response":
        response = signed(b"{}", "200 OK", ("Connection", "close"))
        gateway.behaviour = lambda _, peer: (peer.send(response), released.wait(5))
    instance = build(verify=str(folder / "authority.pem"))
    before = sockets()
    with contextlib.suppress(ReadTimeoutError):
        Async().call(instance.v3.x, "get", timeout=(5, 0.1))
    left = sockets() - before
    released.set()

    assert 1 == len(gateway.seen)
    assert not [peer for peer in left if peer == ("127.0.0.1", gateway.port)]


def sockets():
    """Give the addresses that sockets of this process are connected to."""
    peers = set()
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            if str(entry.readlink()).startswith("socket:"):
                with socket.socket(fileno=os.dup(int(entry.name))) as copy:
                    peers.add(copy.getpeername())
    return peers
