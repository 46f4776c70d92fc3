"""Latchkey's teaching parts. The site works without them: delete this folder, and its lines in `wsgi.py`."""

import os
from collections.abc import Mapping

from flask import Blueprint, Flask

from app.config import ConfigurationError
from app.views.site.templating import add_header_link

YES, NO = ("true", "1", "yes", "on"), ("false", "0", "no", "off")


def init_app(app: Flask, environ: Mapping[str, str] = os.environ) -> None:
    """Add the teaching parts to the site. They are on by default on localhost, and off elsewhere.

    `environ` (for tests) takes the place of the process's environment. Raises ConfigurationError where FLASK_LEARN is
    neither true nor false.
    """
    setting = environ.get("FLASK_LEARN")
    if setting is not None and setting.lower() not in YES + NO:
        raise ConfigurationError(f"FLASK_LEARN={setting!r} is not usable: say true or false.")
    if not (app.config["LOCAL"] if setting is None else setting.lower() in YES):
        return
    from learn.tutorial import commands, views

    parts = Blueprint("learn", __name__, template_folder="templates", static_folder="static", static_url_path="/learn")
    app.register_blueprint(parts)
    app.register_blueprint(views.blueprint)
    app.cli.add_command(commands.tutorial)
    add_header_link(app, "tutorial.index", "Build it")
    if app.config["LOCAL"]:
        from learn.lab.commands import lab

        app.cli.add_command(lab)
