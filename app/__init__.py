"""Latchkey: sign in with an email link, make a passkey, come back by autofill."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Flask, Request
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import MapAdapter

from app import log, mailer, views
from app.config import configure
from app.database import db

ROOT = Path(__file__).parent.parent


class Site(Flask):
    """Flask at the root of an origin, with an error log that names the route and not the path: paths hold tokens."""

    def __call__(self, environ: Any, start_response: Any) -> Any:
        """The site is an origin, and no part of one, whatever a server takes a request's headers to say."""
        environ["SCRIPT_NAME"] = ""
        return super().__call__(environ, start_response)

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Route the request. If its Host header is no host name, such as `a..b`, there is no route; but the page that
        says so has links, too."""
        try:
            return super().create_url_adapter(request)
        except HTTPException:
            return self.url_map.bind(self.config["HOST"])

    def log_exception(self, exc_info: Any) -> None:
        log.failure(views.route_pattern(), exc_info)


def create_app(environ: Mapping[str, str] = os.environ, instance_path: str | None = None) -> Flask:
    """Return the site, configured from the environment (or, for tests, from `environ`).

    Raises ConfigurationError where it would be unsafe to run.
    """
    app = Site(
        __name__,
        root_path=str(ROOT),
        static_folder=None,
        instance_path=instance_path or str(ROOT / "instance"),
    )
    configure(app.config, app.instance_path, environ)
    log.init_app(app)
    db.init_app(app)
    mailer.init_app(app)
    views.init_app(app)
    if app.config["IS_COMMAND"]:
        # Alembic serves `flask db ...` only, and would cost every worker 12 MiB; the rest is the operator's, too.
        from flask_migrate import Migrate

        from app.operator import site, users

        users.init_app(app)
        site.init_app(app)
        Migrate(app, db, directory=str(ROOT / "migrations"))
    if proxies := app.config["PROXIES"]:
        # Host and scheme are SITE_URL's to say.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=0)  # type: ignore
    return app
