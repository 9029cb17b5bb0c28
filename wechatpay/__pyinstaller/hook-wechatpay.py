"""Put the data files, such as the catalogue's, into the application."""

from importlib.resources import files
from pathlib import Path

_ROOT = Path(str(files("wechatpay")))
_FILES = (*_ROOT.rglob("*.jsonl"), *_ROOT.rglob("*.tsv"))

datas = [(str(file), str(file.parent.relative_to(_ROOT.parent))) for file in _FILES]
