"""Single sign-on: to the site's provider of OpenID Connect and back (Authlib, the extra `sso`).

The provider's addresses are read from its own description when somebody first signs in, not when the site starts.
"""

from functools import cache
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import User as DjangoUser
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import Resolver404, resolve, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from firstlight.accounts.entry import sign_in
from firstlight.files.errors import Refused
from firstlight.pages.page import attempt
from firstlight.teams import single_sign_on
from firstlight.teams.access import id_of
from firstlight.teams.single_sign_on import ProviderSays

#: Where the session keeps the page that was asked for.
NEXT = "sso_next"


@cache
def _provider(issuer: str, client: str, secret: str) -> Any:
    from authlib.integrations.django_client import OAuth

    return OAuth().register(
        "provider",
        client_id=client,
        client_secret=secret,
        server_metadata_url=f"{issuer.rstrip('/')}/.well-known/openid-configuration",
        client_kwargs={
            "scope": "openid email profile",
            "code_challenge_method": "S256",
            "default_timeout": 10,
        },
    )


def provider() -> Any:
    """Authlib's client of the provider that the settings name; 404 where they name none."""
    if not settings.SSO_ISSUER:
        raise Http404("This site has no single sign-on.")
    return _provider(settings.SSO_ISSUER, settings.SSO_CLIENT, settings.SSO_SECRET)


@login_not_required
@never_cache
@require_safe
def start(request: HttpRequest) -> HttpResponse:
    """To the provider. Who is signed in already connects their account."""
    client = provider()
    request.session[NEXT] = _own_page(request, request.GET.get("next", ""))
    try:
        answer: HttpResponse = client.authorize_redirect(request, _callback(request))
    except Exception as error:
        return _failed(request, error)
    return answer


@login_not_required
@never_cache
@require_safe
def callback(request: HttpRequest) -> HttpResponse:
    """Back from the provider, with a code that is good once."""
    client = provider()
    going_on = request.session.pop(NEXT, "") or reverse("home")
    try:
        says = _answer(client, request)
    except Exception as error:
        return _failed(request, error)
    try:
        if request.user.is_authenticated:
            single_sign_on.connect(DjangoUser.objects.get(pk=id_of(request.user)), says)
            messages.success(request, f"From now on you can sign in with {settings.SSO_NAME}.")
            return redirect("profile")
        user = single_sign_on.account_of(says, domains=settings.SSO_DOMAINS, invitation=_invitation(going_on))
    except Refused as error:
        return _page(request, 403, "You cannot sign in", str(error))
    sign_in(request, user)
    return redirect(going_on)


def disconnect(request: HttpRequest) -> HttpResponse:
    return attempt(
        request,
        lambda: single_sign_on.disconnect(DjangoUser.objects.get(pk=id_of(request.user))),
        reverse("profile"),
        done=f"{settings.SSO_NAME} opens this account no longer.",
    )


def _answer(client: Any, request: HttpRequest) -> ProviderSays:
    """What the provider's token says, its signature, issuer, audience, nonce and time checked."""
    issuer = {"iss": {"essential": True, "values": [settings.SSO_ISSUER]}}
    token = client.authorize_access_token(request, claims_options=issuer)
    claims = token.get("userinfo")
    if not claims or not claims.get("sub"):
        raise ValueError("no identity token in the provider's answer")
    if "email" not in claims and client.server_metadata.get("userinfo_endpoint"):
        more = client.userinfo(token=token)
        # OpenID Connect Core 5.3.2: another subject's answer must not be used
        if more.get("sub") == claims["sub"]:
            claims = {**more, **claims}
    verified = claims.get("email_verified") in (True, "true")
    return ProviderSays(
        issuer=settings.SSO_ISSUER,
        subject=str(claims["sub"])[:255],
        email=str(claims.get("email") or "") if verified else "",
        name=str(claims.get("preferred_username") or ""),
    )


def _callback(request: HttpRequest) -> str:
    return request.build_absolute_uri(reverse("sso-callback"))


def _own_page(request: HttpRequest, address: str) -> str:
    safe = url_has_allowed_host_and_scheme(address, {request.get_host()}, require_https=request.is_secure())
    return address if safe else ""


def _invitation(address: str) -> str:
    """The secret of the invitation that a person came from, or ""."""
    try:
        match = resolve(urlsplit(address).path)
    except Resolver404:
        return ""
    return str(match.kwargs["secret"]) if match.url_name == "invitation" else ""


def _failed(request: HttpRequest, error: Exception) -> HttpResponse:
    """The provider's or the network's fault, or an answer that is not for this session."""
    import requests
    from authlib.common.errors import AuthlibBaseError
    from joserfc.errors import JoseError

    if isinstance(error, requests.RequestException):
        return _page(
            request,
            502,
            f"{settings.SSO_NAME} does not answer",
            f"The provider could not be asked ({type(error).__name__}).",
        )
    if isinstance(error, AuthlibBaseError | JoseError | ValueError | KeyError):
        return _page(request, 400, "Signing in did not finish", f"{error}"[:300])
    raise error


def _page(request: HttpRequest, status: int, title: str, message: str) -> HttpResponse:
    facts = {
        "status": status,
        "title": title,
        "message": message,
        "advice": "Start again from the page of signing in, or sign in with your password.",
    }
    return render(request, "error.html", facts, status=status)
