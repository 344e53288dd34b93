"""Forms of people: the first account, invitations, profile, password, teams, tokens."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.forms import PasswordResetForm, SetPasswordForm

from firstlight.pages.forms import SiteForm, style
from firstlight.teams.access import User, teams_of
from firstlight.teams.models import ApiToken, Membership, Team
from firstlight.teams.tokens import MOST_DAYS


def _password(label: str, autocomplete: str, help_text: str = "") -> forms.CharField:
    widget = forms.PasswordInput(attrs={"autocomplete": autocomplete})
    return forms.CharField(label=label, strip=False, max_length=4096, widget=widget, help_text=help_text)


class AccountForm(SiteForm):
    """A new account."""

    username = forms.CharField(
        label="Name",
        max_length=150,
        help_text="You sign in with it. Letters, digits and @ . + - _",
        widget=forms.TextInput(attrs={"autocomplete": "username", "autocapitalize": "none"}),
    )
    email = forms.EmailField(
        label="E-mail", required=False, widget=forms.EmailInput(attrs={"autocomplete": "email"})
    )
    password = _password("Password", "new-password", "At least 8 characters, and no common password.")


class FirstAccountForm(AccountForm):
    team = forms.CharField(max_length=80, help_text="Who works together here. It can be renamed later.")


class ProfileForm(SiteForm):
    username = forms.CharField(
        label="Name", max_length=150, widget=forms.TextInput(attrs={"autocomplete": "username"})
    )
    email = forms.EmailField(
        label="E-mail", required=False, help_text="For invitations and forgotten passwords."
    )


class PasswordForm(SiteForm):
    old = _password("Old password", "current-password")
    new = _password("New password", "new-password", "At least 8 characters, and no common password.")


class ForgottenForm(PasswordResetForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **({"label_suffix": ""} | kwargs))
        self.fields["email"].label = "E-mail"
        style(self)


class NewPasswordForm(SetPasswordForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **({"label_suffix": ""} | kwargs))
        style(self)


class TeamNameForm(SiteForm):
    name = forms.CharField(max_length=80)


class InviteForm(SiteForm):
    role = forms.ChoiceField(choices=Membership.Role.choices, initial=Membership.Role.MEMBER)
    email = forms.EmailField(label="E-mail", required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["email"].help_text = (
            "The link is sent there, and shown here too."
            if settings.MAIL_READY
            else "This site sends no mail: copy the link that appears, and send it yourself."
        )


class RoleForm(SiteForm):
    role = forms.ChoiceField(choices=Membership.Role.choices)


class TokenForm(SiteForm):
    name = forms.CharField(
        max_length=80, help_text="What uses it, for example: training loop of the 1B series."
    )
    scope = forms.ChoiceField(choices=ApiToken.Scope.choices, initial=ApiToken.Scope.WRITE)
    team = forms.ModelChoiceField(
        Team.objects.none(), required=False, help_text="With a team, it sees and changes nothing else."
    )
    days = forms.IntegerField(label="Good for days", min_value=1, max_value=MOST_DAYS, initial=90)

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["team"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = teams_of(user).order_by("name")
        field.empty_label = "all my teams"


class AuditForm(SiteForm):
    """What narrows the audit log; nothing is required."""

    team = forms.ModelChoiceField(Team.objects.none(), required=False)
    person = forms.CharField(max_length=150, required=False)
    verb = forms.CharField(label="What", max_length=60, required=False)
    subject = forms.CharField(label="Of what", max_length=200, required=False)
    since = forms.DateField(label="From", required=False, widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(label="To", required=False, widget=forms.DateInput(attrs={"type": "date"}))

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["team"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = teams_of(user).order_by("name")
        field.empty_label = "any"
