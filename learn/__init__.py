"""Latchkey's teaching parts. The site works without them: delete this folder, and its lines in `wsgi.py`."""

import os
from collections.abc import Mapping

from flask import Blueprint, Flask

from app.config import ConfigurationError, boolean
from app.views.site.templating import add_ceremony_pages, add_header_link

INSIDE = "A sign-in, opened: every message, every byte, and each check with its reason and its code."
LAB = "Attack this very site, and see the line that stops you. Then cut that line out, and attack again."
TUTORIAL = "Twelve chapters lead from an empty folder to signing in by autofill. You run each one, and break it."


def init_app(app: Flask, environ: Mapping[str, str] = os.environ) -> None:
    """Add the teaching parts to the site. They are on by default on localhost, and off elsewhere.

    `environ` (for tests) takes the place of the process's environment. Raises ConfigurationError where FLASK_LEARN is
    neither true nor false.
    """
    setting = environ.get("FLASK_LEARN")
    try:
        is_on = app.config["LOCAL"] if setting is None else boolean(setting)
    except ValueError as error:
        raise ConfigurationError(f"FLASK_LEARN={setting!r} is not usable: {error}.") from None
    if not is_on:
        return
    from learn import export
    from learn.inside import views as inside
    from learn.tutorial import commands
    from learn.tutorial import views as tutorial

    parts = Blueprint("learn", __name__, template_folder="templates", static_folder="static", static_url_path="/learn")
    app.register_blueprint(parts)
    app.register_blueprint(inside.blueprint)
    app.register_blueprint(tutorial.blueprint)
    app.cli.add_command(commands.tutorial)
    app.cli.add_command(export.learn)
    add_header_link(app, "inside.index", "Look inside", INSIDE)
    add_ceremony_pages(app, "inside")
    if app.config["LOCAL"]:
        from learn.lab import views as attacks
        from learn.lab.commands import lab

        app.register_blueprint(attacks.blueprint)
        app.cli.add_command(lab)
        add_header_link(app, "lab.index", "Attack it", LAB)
    add_header_link(app, "tutorial.index", "Build it", TUTORIAL)
