"""Secrets that links and scripts carry: shown once, kept as a digest."""

import hashlib
import secrets


def fresh_secret() -> str:
    """256 random bits as text for an address: too many to try, so a plain digest keeps them safe."""
    return secrets.token_urlsafe(32)


def digest_of(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
