"""Pages of one's own account: profile, password, tokens."""

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.models import User as DjangoUser
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse

from firstlight.accounts.forms import PasswordForm, ProfileForm, TokenForm
from firstlight.pages.forms import form_facts
from firstlight.pages.page import attempt, render_page
from firstlight.teams import actions, tokens
from firstlight.teams.access import id_of
from firstlight.teams.models import ApiToken


def profile(request: HttpRequest) -> HttpResponse:
    user = _person(request)
    form = ProfileForm(request.POST or None, initial={"username": user.username, "email": user.email})
    if form.is_valid():
        values = form.cleaned_data
        if form.attempt(lambda: actions.change_profile(_person(request), **values)):
            messages.success(request, "Your profile has been changed.")
            return redirect("profile")
    data = form_facts(form) | {"single_sign_on": user.identities.exists()}
    return render_page(
        request,
        "accounts/profile.html",
        data,
        form=form,
        sso=settings.SSO_NAME if settings.SSO_ISSUER else "",
        has_password=user.has_usable_password(),
        title="Profile",
        save="Save",
        back=reverse("home"),
    )


def password(request: HttpRequest) -> HttpResponse:
    form = PasswordForm(request.POST or None)
    if form.is_valid():
        values = form.cleaned_data
        user = form.attempt(lambda: actions.change_password(_person(request), **values))
        if user:
            update_session_auth_hash(request, user)
            messages.success(request, "Your password has been changed. Other sessions have ended.")
            return redirect("home")
    return render_page(
        request,
        "parts/form.html",
        form_facts(form),
        form=form,
        title="Change password",
        lead="All your other sessions end. Tokens go on.",
        save="Change password",
        back=reverse("home"),
    )


def token_list(request: HttpRequest) -> HttpResponse:
    """One's tokens, and the form of a new one, whose text this page shows once."""
    text = ""
    form = TokenForm(request.user, request.POST or None)
    if form.is_valid():
        values = form.cleaned_data
        made = form.attempt(lambda: tokens.create_token(request.user, **values))
        if made:
            text, form = made[1], TokenForm(request.user)
    data = {
        **form_facts(form),
        "tokens": [token_facts(token) for token in tokens.tokens_of(request.user)[:200]],
    }
    answer = render_page(request, "accounts/token_list.html", data, form=form, text=text)
    answer["Cache-Control"] = "no-store"
    return answer


def token_facts(token: ApiToken) -> dict[str, object]:
    """A token in a list; its text is nowhere."""
    return {
        "id": token.pk,
        "name": token.name,
        "prefix": token.prefix,
        "scope": token.scope,
        "person": token.user.get_username(),
        "team": token.team.name if token.team else None,
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "used_at": token.used_at,
        "revoked_at": token.revoked_at,
    }


def token_revoke(request: HttpRequest, pk: int) -> HttpResponse:
    token = get_object_or_404(tokens.tokens_of(request.user), pk=pk)
    return attempt(
        request,
        lambda: tokens.revoke_token(request.user, token),
        reverse("token-list"),
        done=f"{token} is revoked: it opens nothing any more.",
    )


def _person(request: HttpRequest) -> DjangoUser:
    """The row of who is signed in, apart from the request's, which stays as it is where a change is refused."""
    return DjangoUser.objects.get(pk=id_of(request.user))
