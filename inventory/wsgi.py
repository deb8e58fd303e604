"""The inventory as a WSGI application, for any server of such."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

__all__ = ["application"]

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "inventory.settings")
application = get_wsgi_application()
