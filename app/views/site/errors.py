"""Errors as pages. The two paths that scripts fetch answer with problem details (RFC 9457) instead."""

from http import HTTPStatus

from flask import Flask, Response, jsonify, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from werkzeug.exceptions import BadRequest, HTTPException, MethodNotAllowed

from app import log
from app.database import rollback
from app.views.site.protection import route_pattern

# A reopened tab may GET the path of a form. Instead of a 405, it gets the page with that form. The first match counts.
PAGES_WITH_FORMS = {
    "/sign-in/code": "sign_in.check_email",
    "/sign-in/": "sign_in.show",
    "/account/": "account.show",
}

SECONDS_TO_RETRY = 5

# PostgreSQL, appendix A.
FOREIGN_KEY_VIOLATION = "23503"


def init_app(app: Flask) -> None:
    """Answer every error with a page of ours."""
    app.register_error_handler(MethodNotAllowed, form_only)
    app.register_error_handler(HTTPException, http_error)
    app.register_error_handler(DBAPIError, database_busy)
    app.register_error_handler(IntegrityError, account_gone)
    app.register_error_handler(DataError, bad_data)


def form_only(error: MethodNotAllowed) -> ResponseReturnValue:
    """Redirect to the page with the form, if somebody opens a path that accepts only POST."""
    if request.method in ("GET", "HEAD"):
        for beginning, endpoint in PAGES_WITH_FORMS.items():
            if request.path.startswith(beginning):
                return redirect(url_for(endpoint), 303)
    return http_error(error)


def http_error(error: HTTPException) -> ResponseReturnValue:
    """Show an error, and log its reason: the one that our code aborted with, or the name of the status."""
    code = error.code or 500
    if code < 500:  # Flask logs other errors with their traceback
        # Our reasons are snake_case. Werkzeug's descriptions are sentences.
        ours = error.description and error.description.isidentifier()
        reason = error.description if ours else error.name.lower().replace(" ", "_")
        log.event("refused", reason=reason, route=route_pattern())
    answer, status = problem(code)
    return answer, status, {name: value for name, value in error.get_headers() if name in ("Allow", "Retry-After")}


def database_busy(error: DBAPIError) -> ResponseReturnValue:
    """Say that the database is locked, full, down or not up to date. Nothing was changed. Log the traceback."""
    log.failure(route_pattern(), (type(error), error, error.__traceback__))
    rollback()
    answer, status = problem(503)
    return answer, status, {"Retry-After": str(SECONDS_TO_RETRY)}


def bad_data(error: DataError) -> ResponseReturnValue:
    """Refuse a value that no column can hold, such as a NUL on PostgreSQL. Nothing was changed."""
    rollback()
    return http_error(BadRequest("bad_data"))


def account_gone(error: IntegrityError) -> ResponseReturnValue:
    """Refuse a request whose account was deleted meanwhile. It gets 401, like every later one. Nothing was changed."""
    names = getattr(error.orig, "sqlite_errorname", ""), getattr(error.orig, "sqlstate", "")
    if not {"SQLITE_CONSTRAINT_FOREIGNKEY", FOREIGN_KEY_VIOLATION} & {*names}:
        raise error  # a mistake of ours
    rollback()
    session.modified = False
    log.event("refused", reason="account_gone", detail=type(error.orig).__name__, route=route_pattern())
    return problem(401)


def problem(status: int) -> tuple[Response | str, int]:
    """Return the page for an error, or problem details for a script, and the status."""
    if status >= 500:
        # Nothing was changed. So don't change the cookie either.
        session.modified = False
    if request.path.endswith("/options"):
        response = jsonify(title=HTTPStatus(status).phrase, status=status)
        response.mimetype = "application/problem+json"
        return response, status
    return render_template("error.html", status=status), status
