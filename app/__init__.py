"""Latchkey: sign in with an email link, make a passkey, come back by autofill."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Flask, Request
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import MapAdapter

from app import log, mailer, operator, views
from app.config import configure
from app.database import db

ROOT = Path(__file__).parent.parent


class Site(Flask):
    """A Flask app at the root of its origin. Its error log names routes by their pattern, because paths hold tokens."""

    def __call__(self, environ: Any, start_response: Any) -> Any:
        """Serve a request. The site has no path prefix, even if a server takes one from the request's headers."""
        environ["SCRIPT_NAME"] = ""
        return super().__call__(environ, start_response)

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Return the adapter that routes the request. If its Host header isn't a host name (`a..b`), the error page can
        still make links."""
        try:
            return super().create_url_adapter(request)
        except HTTPException:
            return self.url_map.bind(self.config["HOST"])

    def log_exception(self, exc_info: Any) -> None:
        """Log an unhandled exception of a request."""
        log.failure(views.route_pattern(), exc_info)


def create_app(environ: Mapping[str, str] = os.environ, instance_path: str = str(ROOT / "instance")) -> Flask:
    """Return the site, configured from the environment, or for tests from another mapping.

    Raises ConfigurationError if a setting is malformed or unsafe.
    """
    app = Site(__name__, root_path=str(ROOT), static_folder=None, instance_path=instance_path)
    configure(app.config, app.instance_path, environ)
    log.init_app(app)
    db.init_app(app)
    mailer.init_app(app)
    views.init_app(app)
    operator.init_app(app)
    if app.config["IS_COMMAND"]:
        # Imported late: Alembic is for `flask db ...` only, and would cost every worker 10 MiB.
        from flask_migrate import Migrate

        Migrate(app, db, directory=str(ROOT / "migrations"))
    if proxies := app.config["PROXIES"]:
        # Trust no header for host and scheme: SITE_URL decides them.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=0)  # type: ignore[method-assign]
    return app
