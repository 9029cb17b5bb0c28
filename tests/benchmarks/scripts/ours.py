"""The same script with this package. Arguments: base URL, folder, calls."""

import sys
import time
from pathlib import Path

from wechatpay import Builder

base, folder, calls = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
instance = Builder(
    mchid="1900000109",
    serial="3775B6A45ACD588826D15E583A95F5DD00000000",
    private_key=folder / "merchant.pem",
    certs={"PUB_KEY_ID_0114232134912410000000000000": folder / "platform_public.pem"},
    base_uri=f"{base}/",
    verify=str(folder / "authority.pem"),
)


def call():
    """Make the call."""
    return instance.v3.eduPapay.user._openid_.contracts.get(
        openid="oUpF8uMuAJOM2pxb1Q", query={"appid": "wx8888888888888888", "plan_id": "12535"}
    ).json()


for count in range(calls):
    response = call()
    if count == 0:
        print(time.process_time(), flush=True)  # noqa: T201  to the runner
if calls > 1:
    status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    print(status["VmHWM"])  # noqa: T201  to the runner
