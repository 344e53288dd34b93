"""All addresses. `/healthz` and `/readyz` are for machines; the rest needs a login."""

from django.contrib.auth import views as auth
from django.urls import include, path

from firstlight.accounts.entry import SignIn

urlpatterns = [
    path("login", SignIn.as_view(), name="login"),
    path("logout", auth.LogoutView.as_view(), name="logout"),
    path("", include("firstlight.api.urls")),
    path("", include("firstlight.accounts.urls")),
    path("", include("firstlight.home.urls")),
    path("", include("firstlight.registry.urls")),
    path("", include("firstlight.evaluations.urls")),
    path("", include("firstlight.forecasts.urls")),
]
handler400 = "firstlight.pages.errors.bad_request"
handler403 = "firstlight.pages.errors.denied"
handler404 = "firstlight.pages.errors.not_found"
handler500 = "firstlight.pages.errors.server_error"
