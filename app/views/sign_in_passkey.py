"""Signing in with a passkey: one form, one POST."""

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from app import passkeys
from app.ceremonies import CeremonyError
from app.views import flow, sign_in

blueprint = Blueprint("sign_in_passkey", __name__, url_prefix="/sign-in/passkey")


@blueprint.post("")
@flow.one_transaction
def use() -> ResponseReturnValue:
    """Sign in with what the authenticator answered."""
    next = flow.next_page(request.form.get("next"))
    try:
        passkey = passkeys.finish_authentication(flow.this_browser(), request.form.get("credential", ""))
    except CeremonyError as refusal:
        return sign_in.page(refusal, next=next)
    flow.tick("return")
    return flow.sign_in(passkey, "passkey", next)


@blueprint.post("/options")
def options() -> ResponseReturnValue:
    """Fresh request options, for a page that has been open for long."""
    return Response(passkeys.begin_authentication(flow.this_browser()), mimetype="application/json")
