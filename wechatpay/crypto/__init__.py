"""The toolbox: keys, signatures, ciphers, digests. Its imports are heavy, so other modules load it late."""
