"""The pages, one file per resource."""

from flask import Flask

from app.views import (
    account,
    dev_mail,
    errors,
    home,
    passkeys,
    protection,
    sign_in,
    sign_in_link,
    sign_in_passkey,
    sign_out,
    templating,
)
from app.views.protection import route_pattern

__all__ = ["init_app", "route_pattern"]


def init_app(app: Flask) -> None:
    """Register every page, and what holds for all of them."""
    protection.init_app(app)
    errors.init_app(app)
    templating.init_app(app)
    for module in (home, sign_in, sign_in_link, sign_in_passkey, sign_out, account, passkeys):
        app.register_blueprint(module.blueprint)
    if app.config["LOCAL"]:
        app.register_blueprint(dev_mail.blueprint)
