"""The front page with the guided tour. Also two paths for programs: password managers and health checks."""

from flask import Blueprint, Response, abort, current_app, jsonify, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from app.database import db
from app.models import User
from app.operator.doctor import FORWARDING_HEADERS
from app.views.shared.browser import pending_sign_in

blueprint = Blueprint("home", __name__)


@blueprint.get("/")
def show() -> ResponseReturnValue:
    """Show the front page. No passkey ceremony starts here: after signing out, it would sign the visitor back in."""
    return render_template("home.html", pending=pending_sign_in())


@blueprint.get("/.well-known/passkey-endpoints")
def passkey_endpoints() -> ResponseReturnValue:
    """Tell password managers where to send their users (W3C Passkey Endpoints)."""
    if not current_app.config["PASSKEYS_ENABLED"]:
        abort(404)
    account = current_app.config["SITE_URL"] + url_for("account.show")
    return jsonify(enroll=account, manage=account)


@blueprint.get("/healthz")
def healthz() -> ResponseReturnValue:
    """Answer `ok` if the database can be read, and say how the request came through the proxies.

    The doctor reads the lines after the first one: the host asked for, and the names of the forwarding headers.
    """
    db.session.execute(select(User).limit(1))
    forwarded = "".join(f"{name}: present\n" for name in FORWARDING_HEADERS if name in request.headers)
    return Response(f"ok\nHost: {request.host}\n{forwarded}", mimetype="text/plain")
