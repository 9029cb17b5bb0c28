"""What PyInstaller has to put into an application: its entry point ``pyinstaller40`` names this package.

https://pyinstaller.org/en/stable/hooks.html#provide-hooks-with-package
"""

from pathlib import Path

__all__ = ["get_hook_dirs"]


def get_hook_dirs() -> list[str]:
    """Return the folder of ``hook-wechatpay.py``."""
    return [str(Path(__file__).parent)]
