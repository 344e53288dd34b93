"""The policy that browsers are given: nothing inline runs, and of styles only what is named by its hash."""

from django.test import Client


def test_the_policy_allows_nothing_inline(db: None) -> None:
    policy = Client().get("/login").headers["Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert "unsafe-inline" not in policy
    assert "unsafe-eval" not in policy
    assert "script-src" not in rules  # so scripts come under the default
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'self'"
    assert rules["object-src"] == rules["frame-ancestors"] == "'none'"
