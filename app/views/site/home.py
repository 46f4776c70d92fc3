"""`/`: what this is, and the guided tour. And whether the site is alive."""

from flask import Blueprint, Response, abort, current_app, jsonify, render_template, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from app.database import run
from app.models import User
from app.views.shared.browser import pending_sign_in

blueprint = Blueprint("home", __name__)


@blueprint.get("/")
def show() -> ResponseReturnValue:
    """What this is. No ceremony waits here: after signing out, it would sign the visitor back in."""
    return render_template("home.html", pending=pending_sign_in())


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
