"""The toolbox: keys, signatures, ciphers, digests. Heavy, so the rest imports it when first needed."""
