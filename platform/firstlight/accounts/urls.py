from django.urls import path

from firstlight.accounts import audit, entry, own, sso, team_pages
from firstlight.pages.page import page, post

urlpatterns = [
    path("welcome/<str:secret>", entry.welcome, name="welcome"),
    path("invitations/<str:secret>", entry.invitation, name="invitation"),
    path("password/forgotten", entry.Forgotten.as_view(), name="password-forgotten"),
    path("password/<uidb64>/<token>", entry.NewPassword.as_view(), name="password-new"),
    path("sso", sso.start, name="sso"),
    path("sso/callback", sso.callback, name="sso-callback"),
    *post("sso/disconnect", sso.disconnect, "sso-disconnect"),
    *page("password", own.password, "password"),
    *page("profile", own.profile, "profile"),
    *page("tokens", own.token_list, "token-list"),
    *post("tokens/<int:pk>/revoke", own.token_revoke, "token-revoke"),
    *page("teams", team_pages.team_list, "team-list"),
    *page("teams/new", team_pages.team_new, "team-new"),
    *page("teams/<int:pk>", team_pages.team, "team"),
    *page("teams/<int:pk>/rename", team_pages.team_rename, "team-rename"),
    *post("members/<int:pk>/role", team_pages.member_role, "member-role"),
    *post("members/<int:pk>/remove", team_pages.member_remove, "member-remove"),
    *post("invitations/<int:pk>/withdraw", team_pages.invitation_withdraw, "invitation-withdraw"),
    *page("audit", audit.audit_log, "audit-log"),
    path("audit.csv", audit.audit_csv, name="audit-csv"),
]
