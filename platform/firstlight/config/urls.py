"""All addresses. `/healthz` and `/readyz` are for machines; the rest needs a login."""

from django.contrib.auth import views as auth
from django.urls import include, path

from firstlight.config import views
from firstlight.config.pages import page

urlpatterns = [
    *page("", views.home, "home"),
    path("login", auth.LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout", auth.LogoutView.as_view(), name="logout"),
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
    path("", include("firstlight.registry.urls")),
    path("", include("firstlight.evaluations.urls")),
    path("", include("firstlight.forecasts.urls")),
]
handler400 = views.bad_request
handler403 = views.denied
handler404 = views.not_found
handler500 = views.server_error
