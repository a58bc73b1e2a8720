"""Django in one file: one view that answers with text, without middleware."""

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="not secret", MIDDLEWARE=[])


def hello(request: HttpRequest) -> HttpResponse:
    """Answer."""
    return HttpResponse("hello")


urlpatterns = [path("", hello)]
app = get_wsgi_application()
