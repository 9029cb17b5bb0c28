"""The shortest honest script: signed calls, verified responses. Arguments: base URL, folder, calls."""

import base64
import secrets
import sys
import time
from pathlib import Path

import requests
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

base, folder, calls = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
private_key = load_pem_private_key((folder / "merchant.pem").read_bytes(), None)
public_keys = {
    "PUB_KEY_ID_0114232134912410000000000000": load_pem_public_key(
        (folder / "platform_public.pem").read_bytes()
    )
}
session = requests.Session()
session.verify = str(folder / "authority.pem")


def call():
    """Make the call."""
    target = "/v3/edu-papay/user/oUpF8uMuAJOM2pxb1Q/contracts?appid=wx8888888888888888&plan_id=12535"
    timestamp, nonce = str(int(time.time())), secrets.token_hex(16)
    text = f"GET\n{target}\n{timestamp}\n{nonce}\n\n"
    signature = base64.b64encode(private_key.sign(text.encode(), PKCS1v15(), SHA256())).decode()
    headers = {
        "Accept": "application/json",
        "Authorization": f'WECHATPAY2-SHA256-RSA2048 mchid="1900000109",nonce_str="{nonce}",'
        f'signature="{signature}",timestamp="{timestamp}",'
        'serial_no="3775B6A45ACD588826D15E583A95F5DD00000000"',
    }
    response = session.get(base + target, headers=headers, timeout=10)
    response.raise_for_status()
    timestamp = response.headers["Wechatpay-Timestamp"]
    if abs(time.time() - int(timestamp)) > 300:
        raise ValueError("stale")
    public_keys[response.headers["Wechatpay-Serial"]].verify(
        base64.b64decode(response.headers["Wechatpay-Signature"]),
        f"{timestamp}\n{response.headers['Wechatpay-Nonce']}\n".encode() + response.content + b"\n",
        PKCS1v15(),
        SHA256(),
    )
    return response.json()


for count in range(calls):
    response = call()
    if count == 0:
        print(time.process_time(), flush=True)  # noqa: T201  to the runner
if calls > 1:
    status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    print(status["VmHWM"])  # noqa: T201  to the runner
