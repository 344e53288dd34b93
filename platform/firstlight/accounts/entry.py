"""Pages that need no session: the first link, invitations, a forgotten password, a locked sign-in."""

from typing import Any

from axes.helpers import get_client_ip_address
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login, views
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import User as DjangoUser
from django.db.models import Sum
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse, reverse_lazy
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from firstlight.accounts.forms import AccountForm, FirstAccountForm, ForgottenForm, NewPasswordForm
from firstlight.pages.forms import SiteForm
from firstlight.teams import invitations
from firstlight.teams.models import Invitation

#: Of the two ways to check a password, the one that a new session names: the other only counts wrong ones.
BACKEND = "django.contrib.auth.backends.ModelBackend"


def _secret_page(view: Any) -> Any:
    """A page whose address holds a secret: no session needed, and kept by nobody.

    Other sites are not told the address: our referrer policy is `same-origin`. A stricter one would make browsers
    send forms without their origin, which the check against forged requests needs.
    """

    @login_not_required
    @never_cache
    @require_http_methods(["GET", "HEAD", "POST"])
    def page(request: HttpRequest, secret: str) -> HttpResponse:
        answer: HttpResponse = view(request, secret)
        return answer

    return page


def sign_in(request: HttpRequest, user: DjangoUser) -> None:
    login(request, user, backend=BACKEND)


class SignIn(views.LoginView):
    """With a password, or through the site's provider where it has one."""

    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Beside the pair of both, which axes counts: whole addresses and whole accounts have a limit of their own."""
        if _too_many(request):
            return locked_out(request)
        return super().post(request, *args, **kwargs)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        sso = settings.SSO_NAME if settings.SSO_ISSUER else ""
        return super().get_context_data(**kwargs) | {"sso": sso}


@_secret_page
def welcome(request: HttpRequest, secret: str) -> HttpResponse:
    """The first link of a fresh site: the owner's account and the first team."""
    invitation = invitations.open_invitation(secret)
    if invitation is None or invitation.team_id is not None or DjangoUser.objects.exists():
        return _void(request, "This site has its owner already, or the link is old.")
    form = FirstAccountForm(request.POST or None)
    if form.is_valid():
        values = form.cleaned_data
        made = form.attempt(lambda: invitations.found_site(secret, **values))
        if made:
            sign_in(request, made[0])
            messages.success(request, f"Welcome. You own this site and its first team, {made[1]}.")
            return redirect("home")
    return render(
        request,
        "accounts/entry.html",
        {
            "form": form,
            "title": "Welcome to Firstlight",
            "lead": "Make your account and your team. This link works once.",
            "save": "Create account",
        },
    )


@_secret_page
def invitation(request: HttpRequest, secret: str) -> HttpResponse:
    """Join a team: signed in, with a button; else with a new account, or after signing in."""
    found = invitations.open_invitation(secret)
    if found is None or found.team is None:
        return _void(request, "This invitation was used, withdrawn, or has expired.")
    if request.user.is_authenticated:
        return _join(request, secret, found)
    form = AccountForm(request.POST or None, initial={"email": found.email})
    if form.is_valid():
        values = form.cleaned_data
        membership = form.attempt(lambda: invitations.accept_as_new(secret, **values))
        if membership:
            sign_in(request, membership.user)
            messages.success(request, f"Welcome to {membership.team}.")
            return redirect("home")
    return render(
        request,
        "accounts/entry.html",
        {
            "form": form,
            "title": f"Join {found.team}",
            "lead": f"{_inviter(found)} invites you as {found.get_role_display().lower()}. Make an account.",
            "save": "Create account and join",
            "sign_in": f"{reverse('login')}?next={request.path}",
        },
    )


def _join(request: HttpRequest, secret: str, found: Invitation) -> HttpResponse:
    form = SiteForm(request.POST if request.method == "POST" else None)
    user = request.user
    if request.method == "POST" and isinstance(user, DjangoUser):
        membership = form.attempt(lambda: invitations.accept_invitation(secret, user))
        if membership:
            messages.success(request, f"Welcome to {membership.team}.")
            return redirect("team", membership.team_id)
    return render(
        request,
        "accounts/entry.html",
        {
            "form": form,
            "title": f"Join {found.team}",
            "lead": f"{_inviter(found)} invites you as {found.get_role_display().lower()}. "
            f"You are signed in as {request.user.get_username()}.",
            "save": "Join the team",
        },
    )


def _inviter(found: Invitation) -> str:
    return found.created_by.get_username() if found.created_by else "An owner"


def _void(request: HttpRequest, why: str) -> HttpResponse:
    facts = {
        "status": 410,
        "title": "This link no longer works",
        "message": why,
        "advice": "Sign in if you have an account. If you have none, ask an owner of a team for an invitation.",
    }
    return render(request, "error.html", facts, status=410)


def _too_many(request: HttpRequest) -> bool:
    """Whether one address tried many names lately, or many addresses one name. Known and unknown names count alike."""
    recent = AccessAttempt.objects.filter(attempt_time__gte=timezone.now() - settings.AXES_COOLOFF_TIME)
    limits = (
        (recent.filter(ip_address=get_client_ip_address(request)), settings.MOST_FAILURES_AN_ADDRESS),
        (recent.filter(username=request.POST.get("username", "")), settings.MOST_FAILURES_AN_ACCOUNT),
    )
    return any((rows.aggregate(n=Sum("failures_since_start"))["n"] or 0) >= most for rows, most in limits)


def locked_out(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
    """Too many wrong passwords: for a name from one address, for a name, or from an address."""
    minutes = int(settings.AXES_COOLOFF_TIME.total_seconds() // 60)
    facts = {
        "status": 429,
        "title": "Too many attempts",
        "message": f"Signing in is closed here for {minutes} minutes, after too many wrong passwords.",
        "advice": "Wait, then try again, or ask for a new password.",
    }
    answer = render(request, "error.html", facts, status=429)
    answer["Retry-After"] = str(minutes * 60)
    return answer


@method_decorator(login_not_required, name="dispatch")
class Forgotten(views.PasswordResetView):
    """Ask for a link by e-mail; whether the address is known is not told."""

    template_name = "accounts/entry.html"
    email_template_name = "accounts/forgotten_mail.txt"
    subject_template_name = "accounts/forgotten_subject.txt"
    form_class = ForgottenForm
    success_url = reverse_lazy("login")
    extra_context = {
        "title": "Forgotten password",
        "lead": "Enter the e-mail address of your account. A link to choose a new password is sent there.",
        "save": "Send the link",
    }

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not settings.MAIL_READY:
            return render(request, "accounts/no_mail.html")
        return super().dispatch(request, *args, **kwargs)

    def form_valid(self, form: Any) -> HttpResponse:
        messages.success(self.request, "If an account has this address, a link is on its way.")
        return super().form_valid(form)


@method_decorator(login_not_required, name="dispatch")
class NewPassword(views.PasswordResetConfirmView):
    """Choose a password behind a link of Django's tokens, which end with the password that they replace."""

    template_name = "accounts/new_password.html"
    form_class = NewPasswordForm
    success_url = reverse_lazy("login")

    def form_valid(self, form: Any) -> HttpResponse:
        messages.success(self.request, "Your new password is set. Sign in with it.")
        return super().form_valid(form)
