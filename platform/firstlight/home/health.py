"""The addresses that machines ask: does the process answer, can the site do its work?"""

import re

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse

from firstlight.evaluations.health import problems


@login_not_required
def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return HttpResponse("ok\n", content_type="text/plain")


@login_not_required
def readyz(request: HttpRequest) -> HttpResponse:
    """The site can do its work: database written and migrated, broker, disk."""
    # anybody may ask, so what stands in brackets, an address or an error's own text, is kept for those who sign in
    wrong = [re.sub(r" \(.*\)", "", problem) for problem in problems()]
    text = "\n".join(wrong or ["ready"])
    return HttpResponse(f"{text}\n", content_type="text/plain", status=503 if wrong else 200)
