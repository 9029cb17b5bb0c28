"""Put the catalogue's data files into the application."""

from importlib.resources import files
from pathlib import Path

_FOLDER = Path(str(files("wechatpay.catalogue")))
_FILES = (*_FOLDER.glob("*.jsonl"), *_FOLDER.glob("*.tsv"))

datas = [(str(file), "wechatpay/catalogue") for file in _FILES]
