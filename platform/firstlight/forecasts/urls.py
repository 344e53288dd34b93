from firstlight.forecasts import views
from firstlight.pages.page import page, post

urlpatterns = [
    *page("forecasts", views.forecast_list, "forecast-list"),
    *page("forecasts/<int:pk>", views.forecast, "forecast"),
    *page("series/<int:pk>/curve", views.curve, "curve"),
    *post("series/<int:pk>/forecast-size", views.size_forecast, "size-forecast"),
    *post("forecasts/make", views.forecast_make, "forecast-make"),
    *post("forecasts/<int:pk>/refresh", views.forecast_refresh, "forecast-refresh"),
    *post("forecasts/<int:pk>/remove", views.forecast_remove, "forecast-remove"),
    *post("forecasts/<int:pk>/lock", views.forecast_lock, "forecast-lock"),
]
