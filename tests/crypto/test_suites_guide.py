"""The guide to suites and brands runs as it is written."""

from __future__ import annotations

import re
from pathlib import Path

import keys
import pytest
import smkeys

from wechatpay import Builder

GUIDE = Path(__file__).parents[2] / "docs" / "suites.md"


@pytest.fixture
def guide(tmp_path, monkeypatch):
    """Run every snippet in order, beside the files that it names, and give the names that they left."""
    monkeypatch.chdir(tmp_path)
    Path("apiclient_key.pem").write_text(smkeys.private_pem())
    Path("pub_key.pem").write_text(smkeys.public_pem())
    Path("brand_key.pem").write_text(keys.pem())
    Path("brand_pub_key.pem").write_text(keys.public_pem("platform"))
    names = {}
    for code in re.findall(r"^```python\n(.*?)^```", GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL):
        exec(compile(code, GUIDE.name, "exec"), names)
    yield names
    for made in names.values():
        if isinstance(made, Builder):
            made.getDriver().close()


def test_guide_runs_in_order(guide):
    """The suite follows from the keys, and the brand signs as one."""
    suites = [
        guide[name].getDriver()._settings.merchant.authorization("c2ln", "1", "n").partition(",")[0]
        for name in ("instance", "brand")
    ]

    assert [
        'WECHATPAY2-SM2-WITH-SM3 mchid="1900000109"',
        'WECHATPAY-BRAND-SHA256-RSA2048 brand_id="40005"',
    ] == suites
    assert "brand/store/brandstores" == str(guide["stores"])
