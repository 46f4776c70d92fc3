"""`/dev/mail`: the outbox of a site on localhost. It exists nowhere else."""

from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from flask import Blueprint, Response, abort, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from app import codes, mailer
from app.operator.doctor import FORWARDING_HEADERS
from app.sign_in_links import LINK
from app.views.account.email import pending_email
from app.views.shared.browser import pending_sign_in
from app.views.site.errors import problem

blueprint = Blueprint("dev_mail", __name__, url_prefix="/dev/mail")

# A message in its frame may use its inline styles, and open a link in the whole window. Nothing else.
FRAME_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; "
    "sandbox allow-top-navigation-by-user-activation"
)


@blueprint.before_request
def local_only() -> None:
    """Answer this machine only, even when a proxy or a tunnel makes localhost public. A public site answers nobody."""
    is_here = request.remote_addr in ("127.0.0.1", "::1")
    is_forwarded = any(name in request.headers for name in FORWARDING_HEADERS)
    if not current_app.config["LOCAL"] or not is_here or is_forwarded:
        abort(404)


@blueprint.errorhandler(FileNotFoundError)
def gone(_: FileNotFoundError) -> ResponseReturnValue:
    """Answer 404 if a message was removed from the folder while we looked for it."""
    return problem(404)


@blueprint.get("/")
def index() -> ResponseReturnValue:
    """Show all messages, newest first."""
    messages = [(path.stem, _read(path)) for path in sorted(_paths(), reverse=True)]
    return render_template("dev/mail.html", messages=messages)


@blueprint.get("/newest")
def newest() -> ResponseReturnValue:
    """Redirect to the newest message to the address `to`, or to the outbox if there is none."""
    for path in sorted(_paths(), reverse=True):
        if _read(path)["To"] == request.args.get("to"):
            return redirect(url_for(".show", id=path.stem), 303)
    return redirect(url_for(".index"), 303)


@blueprint.get("/<id>")
def show(id: str) -> ResponseReturnValue:
    """Show a message as HTML, text and headers. Link back to the page where its code is typed."""
    message, text = _read(_path(id)), text_of(id)
    pending = pending_sign_in()
    code = codes.code_for(LINK, pending.id) if pending else ""
    values = {
        "text": text,
        "code": code if code in text else "",
        "is_for_email_change": current_user.is_authenticated and message["To"] == pending_email(),
    }
    return render_template("dev/message.html", id=id, message=message, **values)


@blueprint.get("/<id>/html")
def html(id: str) -> ResponseReturnValue:
    """Return the HTML part as a mail program would show it, for the frame on the message's page."""
    # Its links lead out of the frame: our pages refuse to be framed.
    page = _part(_read(_path(id)), "html").replace("<head>", '<head><base target="_top">', 1)
    return Response(page, headers={"Content-Security-Policy": FRAME_POLICY})


def text_of(id: str) -> str:
    """Return the text of a message, or abort with 404."""
    return _part(_read(_path(id)), "plain")


def _paths() -> set[Path]:
    return set(mailer.outbox(current_app).glob("*.eml"))


def _path(id: str) -> Path:
    path = mailer.outbox(current_app) / f"{id}.eml"
    return path if path in _paths() else abort(404)


def _read(path: Path) -> EmailMessage:
    return message_from_bytes(path.read_bytes(), policy=policy.default)


def _part(message: EmailMessage, subtype: str) -> str:
    body = message.get_body((subtype,))
    return body.get_content().replace("\r\n", "\n") if body else ""
