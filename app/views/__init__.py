"""The pages, one file per resource."""

from flask import Flask

from app.views.account import (
    activity,
    confirm,
    delete,
    email,
    overview,
    passkeys,
    recovery_codes,
    require_passkey,
    sessions,
)
from app.views.dev import doctor, outbox
from app.views.shared.visitor import login_manager
from app.views.sign_in import link, mail, passkey, second_step, sign_out
from app.views.site import errors, home, protection, static_files, templating
from app.views.site.protection import route_pattern

__all__ = ["init_app", "route_pattern"]


def init_app(app: Flask) -> None:
    """Register the pages, and the rules for all of them."""
    # Flask-Login's context processor would load the visitor for every page. Error pages must not query a database that
    # is down.
    login_manager.init_app(app, add_context_processor=False)
    protection.init_app(app)
    errors.init_app(app)
    templating.init_app(app)
    static_files.init_app(app)
    pages = [home, mail, link, second_step, sign_out]
    pages += [overview, confirm, sessions, activity, email, delete, recovery_codes, require_passkey]
    if app.config["PASSKEYS_ENABLED"]:
        pages += [passkey, passkeys]
    if app.config["LOCAL"]:
        pages += [outbox, doctor]
    for module in pages:
        app.register_blueprint(module.blueprint)
