"""`/`: what this is, and the guided tour. And whether the site is alive."""

from flask import Blueprint, Response, abort, current_app, jsonify, render_template, session, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from app.extensions import run
from app.models import User

blueprint = Blueprint("home", __name__)

TOUR = ("ask", "open", "create", "leave", "return")
WITHOUT_PASSKEYS = ("ask", "open", "leave")


@blueprint.get("/")
def show() -> ResponseReturnValue:
    """What this is. No ceremony waits here: after signing out, it would sign the visitor back in."""
    steps = TOUR if current_app.config["PASSKEYS_ENABLED"] else WITHOUT_PASSKEYS
    done = session.get("tour", [])
    upcoming = next((step for step in steps if step not in done), None)
    return render_template("home.html", steps=steps, done=done, upcoming=upcoming)


@blueprint.get("/.well-known/passkey-endpoints")
def passkey_endpoints() -> ResponseReturnValue:
    """Where password managers send their users (W3C Passkey Endpoints)."""
    if not current_app.config["PASSKEYS_ENABLED"]:
        abort(404)
    account = current_app.config["SITE_URL"] + url_for("account.show")
    return jsonify(enroll=account, manage=account)


@blueprint.get("/healthz")
def healthz() -> ResponseReturnValue:
    """Whether the database answers, and has what accounts are made of."""
    run(select(User).limit(1))
    return Response("ok\n", mimetype="text/plain")
