"""Apps that lower the limit of descriptors of their own worker while they are imported. Runs in a worker."""

import resource

from asgi_probe import app as app
from wsgi_probe import app as wsgi_app  # noqa: F401 - the same as WSGI

resource.setrlimit(resource.RLIMIT_NOFILE, (30, 30))
