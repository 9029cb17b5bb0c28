"""The same call, blocking, by every means: what users would write by hand, ours, and what lies beneath.

The call is a signed GET whose response is verified and parsed.
"""

from __future__ import annotations

import functools
import http.client
import json
import secrets
import ssl
import time
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any

import requests
import urllib3
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from requests.adapters import HTTPAdapter
from requests.hooks import default_hooks
from requests.structures import CaseInsensitiveDict

from wechatpay import Builder

from .material import MCHID, MERCHANT_SERIAL, PLATFORM_SERIAL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .material import Material

__all__ = ["OPENID", "TIMEOUT", "Signer", "builder", "contenders", "ours", "target", "written"]

OPENID = "oUpF8uMuAJOM2pxb1Q"
TIMEOUT = 10


class Signer:
    """What a careful user writes once: keys loaded once, signing, verifying."""

    def __init__(self, material: Material) -> None:
        self._private_key = load_pem_private_key(material.merchant_key.read_bytes(), None)
        self._public_keys = {PLATFORM_SERIAL: load_pem_public_key(material.platform_public_key.read_bytes())}

    def headers(self, method: str, target: str, body: str = "") -> dict[str, str]:
        """Sign a request."""
        timestamp, nonce = str(int(time.time())), secrets.token_hex(16)
        text = f"{method}\n{target}\n{timestamp}\n{nonce}\n{body}\n"
        signature = b64encode(self._private_key.sign(text.encode(), PKCS1v15(), SHA256())).decode()
        return {
            "Accept": "application/json",
            "Content-Type": "application/json",
            "Authorization": f'WECHATPAY2-SHA256-RSA2048 mchid="{MCHID}",nonce_str="{nonce}",'
            f'signature="{signature}",timestamp="{timestamp}",serial_no="{MERCHANT_SERIAL}"',
        }

    def verify(self, headers: Mapping[str, str], body: bytes) -> None:
        """Verify a response."""
        timestamp = headers["Wechatpay-Timestamp"]
        if abs(time.time() - int(timestamp)) > 300:
            raise ValueError("stale")
        text = f"{timestamp}\n{headers['Wechatpay-Nonce']}\n".encode() + body + b"\n"
        key = self._public_keys[headers["Wechatpay-Serial"]]
        key.verify(b64decode(headers["Wechatpay-Signature"]), text, PKCS1v15(), SHA256())


def target(size: int) -> str:
    """Give the path and query of the call, whose response has ``size`` bytes."""
    return f"/v3/edu-papay/user/{OPENID}/contracts?appid=wx8888888888888888&plan_id=12535&size={size}"


def written(base: str, material: Material, size: int = 0, payload: Any = None) -> Callable[[], Any]:
    """Make the call as users write it by hand, with a session of requests; a POST if there is a payload."""
    signer = Signer(material)
    session = requests.Session()
    session.verify = str(material.server_certificate)

    def get() -> Any:
        path = target(size)
        return session.get(base + path, headers=signer.headers("GET", path), timeout=TIMEOUT)

    def post() -> Any:
        path, body = target(size), json.dumps(payload)
        headers = signer.headers("POST", path, body)
        return session.post(base + path, headers=headers, data=body, timeout=TIMEOUT)

    def call() -> Any:
        response = get() if payload is None else post()
        response.raise_for_status()
        signer.verify(response.headers, response.content)
        return response.json()

    return call


def builder(base: str, material: Material, **settings: Any) -> Builder:
    """Make a Builder that calls the gateway."""
    return Builder(
        mchid=MCHID,
        serial=MERCHANT_SERIAL,
        private_key=material.merchant_key,
        certs={PLATFORM_SERIAL: material.platform_public_key},
        base_uri=f"{base}/",
        verify=str(material.server_certificate),
        **settings,
    )


def ours(base: str, material: Material, size: int = 0, payload: Any = None) -> Callable[[], Any]:
    """Make the call with this package."""
    instance = builder(base, material)
    query = {"appid": "wx8888888888888888", "plan_id": "12535", "size": size}

    def get() -> Any:
        return instance.v3.eduPapay.user._openid_.contracts.get(openid=OPENID, query=query).json()

    def post() -> Any:
        return instance.v3.eduPapay.user._openid_.contracts.post(
            openid=OPENID, query=query, json=payload
        ).json()

    return get if payload is None else post


def session(base: str, material: Material, size: int = 0) -> Callable[[], Any]:
    """Make the call with requests' session, past its preparing, as this package does."""
    made = requests.Session()
    verify = str(material.server_certificate)
    # Past the environment, too: ``Session.send`` reads it, unless it gets proxies.
    made.trust_env = False
    return _filled(
        functools.partial(made.send, timeout=TIMEOUT, verify=verify, allow_redirects=False),
        base,
        material,
        size,
    )


def lean(base: str, material: Material, size: int = 0) -> Callable[[], Any]:
    """Make the call with requests' adapter, past its session, too."""
    verify = str(material.server_certificate)
    return _filled(
        functools.partial(HTTPAdapter().send, timeout=TIMEOUT, verify=verify), base, material, size
    )


def _filled(send: Callable[..., Any], base: str, material: Material, size: int) -> Callable[[], Any]:
    signer = Signer(material)

    def call() -> Any:
        path = target(size)
        prepared = requests.PreparedRequest()
        prepared.method, prepared.url, prepared.hooks = "GET", base + path, default_hooks()
        prepared.headers = CaseInsensitiveDict(signer.headers("GET", path))
        response = send(prepared)
        signer.verify(response.headers, response.content)
        return json.loads(response.content)

    return call


def pooled(base: str, material: Material, size: int = 0) -> Callable[[], Any]:
    """Make the call with urllib3."""
    signer = Signer(material)
    pools = urllib3.PoolManager(ca_certs=str(material.server_certificate))

    def call() -> Any:
        path = target(size)
        response = pools.request("GET", base + path, headers=signer.headers("GET", path), timeout=TIMEOUT)
        signer.verify(response.headers, response.data)
        return json.loads(response.data)

    return call


def bare(base: str, material: Material, size: int = 0) -> Callable[[], Any]:
    """Make the call with the standard library alone."""
    signer = Signer(material)
    scheme, _, host = base.partition("://")
    if scheme == "https":
        context = ssl.create_default_context(cafile=material.server_certificate)
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, timeout=TIMEOUT, context=context
        )
    else:
        connection = http.client.HTTPConnection(host, timeout=TIMEOUT)

    def call() -> Any:
        path = target(size)
        connection.request("GET", path, headers=signer.headers("GET", path))
        response = connection.getresponse()
        body = response.read()
        signer.verify(response.headers, body)
        return json.loads(body)

    return call


def crypto(base: str, material: Material, size: int = 0) -> Callable[[], Any]:
    """Sign one request and verify one response, and send nothing."""
    signer = Signer(material)
    signed = b64encode(
        load_pem_private_key(material.platform_key.read_bytes(), None).sign(b"", PKCS1v15(), SHA256())
    )
    public_key = load_pem_public_key(material.platform_public_key.read_bytes())

    def call() -> None:
        signer.headers("GET", target(size))
        public_key.verify(b64decode(signed), b"", PKCS1v15(), SHA256())

    return call


#: By name, the hand-written one first: the others are measured against it.
contenders = {
    "hand-written requests": written,
    "this package": ours,
    "requests' session, bare": session,
    "requests' adapter, bare": lean,
    "urllib3": pooled,
    "http.client": bare,
    "crypto alone": crypto,
}
