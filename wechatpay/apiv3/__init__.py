"""APIv3: JSON, signed with RSA or SM2."""
