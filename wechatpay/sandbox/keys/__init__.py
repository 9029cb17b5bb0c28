"""Whose keys there are: a merchant's, WeChat Pay's, which rotate, and an authority's, for TLS."""

from __future__ import annotations
