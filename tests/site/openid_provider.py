"""A provider of OpenID Connect on loopback: discovery, authorization, token (with PKCE), keys. It signs for real."""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "firstlight", "a-secret-of-the-client"


@dataclass
class Provider:
    """What it will say of whoever comes next, and what it was asked."""

    issuer: str = ""
    claims: dict[str, Any] = field(default_factory=dict)
    #: written over the token's own claims: to be wrong on purpose
    wrong: dict[str, Any] = field(default_factory=dict)
    #: claims that only the userinfo endpoint tells
    userinfo: dict[str, Any] = field(default_factory=dict)
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one"}))
    signed_with: RSAKey | None = None
    asked: dict[str, str] = field(default_factory=dict)
    tokens: int = 0

    def token(self) -> str:
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": self.asked["nonce"],
        }
        header = {"alg": "RS256", "kid": "one"}
        return jwt.encode(header, {**claims, **self.claims, **self.wrong}, self.signed_with or self.key)


@contextmanager
def provider() -> Iterator[Provider]:
    state = Provider()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

        def _send(self, value: Any, status: int = 200) -> None:
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            at = state.issuer
            if url.path == "/.well-known/openid-configuration":
                self._send(
                    {
                        "issuer": at,
                        "authorization_endpoint": f"{at}/authorize",
                        "token_endpoint": f"{at}/token",
                        "userinfo_endpoint": f"{at}/userinfo",
                        "jwks_uri": f"{at}/keys",
                        "id_token_signing_alg_values_supported": ["RS256"],
                    }
                )
            elif url.path == "/keys":
                self._send({"keys": [state.key.as_dict(private=False)]})
            elif url.path == "/userinfo":
                allowed = self.headers.get("Authorization") == "Bearer access"
                self._send(
                    {"sub": state.claims.get("sub"), **state.userinfo} if allowed else {},
                    200 if allowed else 401,
                )
            elif url.path == "/authorize":
                state.asked = {name: values[0] for name, values in parse_qs(url.query).items()}
                answer = urlencode({"code": "one-code", "state": state.asked["state"]})
                self.send_response(302)
                self.send_header("Location", f"{state.asked['redirect_uri']}?{answer}")
                self.send_header("Content-Length", "0")
                self.end_headers()
            else:
                self._send({}, 404)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
            proof = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
            right = (
                self.headers.get("Authorization") == f"Basic {basic}"
                and form.get("code") == "one-code"
                and form.get("redirect_uri") == state.asked["redirect_uri"]
                and proof.rstrip(b"=").decode() == state.asked["code_challenge"]
            )
            if not right:
                self._send({"error": "invalid_grant"}, 400)
                return
            state.tokens += 1
            self._send({"access_token": "access", "token_type": "Bearer", "id_token": state.token()})

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.issuer = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
