"""The pages, one file per resource."""

from flask import Flask

from app.views import (
    account,
    activity,
    change_email,
    confirm,
    delete_account,
    dev_doctor,
    dev_mail,
    errors,
    home,
    passkeys,
    protection,
    recovery_codes,
    require_passkey,
    second_step,
    sessions,
    sign_in,
    sign_in_link,
    sign_in_passkey,
    sign_out,
    static_files,
    templating,
)
from app.views.protection import route_pattern

__all__ = ["init_app", "route_pattern"]


def init_app(app: Flask) -> None:
    """Register every page, and what holds for all of them."""
    protection.init_app(app)
    errors.init_app(app)
    templating.init_app(app)
    static_files.init_app(app)
    sign_in_pages = (sign_in, sign_in_link, second_step, sign_out)
    account_pages = (account, confirm, sessions, activity, change_email, delete_account)
    ways_in = (recovery_codes, require_passkey)
    for module in (home, *sign_in_pages, *account_pages, *ways_in):
        app.register_blueprint(module.blueprint)
    if app.config["PASSKEYS_ENABLED"]:
        app.register_blueprint(passkeys.blueprint)
        app.register_blueprint(sign_in_passkey.blueprint)
    if app.config["LOCAL"]:
        app.register_blueprint(dev_mail.blueprint)
        app.register_blueprint(dev_doctor.blueprint)
