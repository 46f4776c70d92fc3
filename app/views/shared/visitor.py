"""The visitor: the session that this request's cookie names. Flask-Login calls it `current_user`."""

from flask import abort, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import LoginManager, current_user

from app import accounts, log, sessions
from app.models import Session
from app.views.shared.next_page import next_page
from app.views.shared.transaction import commit_if_possible
from app.views.site.errors import problem
from app.views.site.protection import route_pattern

login_manager = LoginManager()
# Session protection signs people out when their IP address or browser version changes.
login_manager.session_protection = None


@login_manager.user_loader
def load_visitor(token: str) -> Session | None:
    """Return the session of this token from the cookie. Delete it if it has expired."""
    visitor = find_visitor(token)
    if not visitor:
        commit_if_possible(sessions.end_expired, token)
    return visitor


@login_manager.unauthorized_handler
def unauthorized() -> ResponseReturnValue:
    """Redirect from a page to the sign-in page, which leads back to it. Refuse a form, because it would be lost."""
    if request.method in ("GET", "HEAD"):
        return redirect(url_for("sign_in.show", next=next_page(request.full_path.rstrip("?")) or None), 303)
    log.event("refused", reason="not_signed_in", route=route_pattern())
    return problem(401)


def find_visitor(token: str) -> Session | None:
    """Return the session of this token, unless it has ended or expired."""
    return sessions.find(token, session.get("proof", ""))


def lock_account() -> Session:
    """Lock the visitor's account until the transaction ends, and return the visitor's session as it is now.

    Abort with 401 if the session has ended in the meantime.
    """
    accounts.lock(current_user.user_id)
    return find_visitor(current_user.token) or abort(401, "session_ended")
