"""The reference for the benchmark: the site's flow on Flask, sqlite3, itsdangerous and webauthn, without an ORM.

It has only the guarantees that cost time. A token is spent once. A session is a row. A link and a challenge work only
in the browser that asked. Users are verified, and a commit is on the disk. It runs in its own folder, at
FLASK_SITE_URL, and keeps its data in `instance/`. It has no scripts, because only programs sign in here.
"""

import hmac
import json
import os
import secrets
import smtplib
import sqlite3
import threading
from email.message import EmailMessage
from pathlib import Path
from time import time
from typing import Any

import webauthn
from flask import Flask, abort, redirect, request, session
from flask.typing import ResponseReturnValue
from itsdangerous import BadSignature, URLSafeTimedSerializer
from webauthn import base64url_to_bytes
from webauthn.helpers import structs

SITE_URL = os.environ["FLASK_SITE_URL"]
TOKEN_SECONDS, SESSION_SECONDS = 600, 90 * 24 * 3600
VERIFIED = structs.UserVerificationRequirement.REQUIRED

SCHEMA = """
PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT UNIQUE, handle BLOB UNIQUE);
CREATE TABLE IF NOT EXISTS passkeys (id BLOB PRIMARY KEY, user_id INTEGER REFERENCES users, public_key BLOB,
    sign_count INTEGER, synced INTEGER, created_at REAL, last_used_at REAL);
CREATE TABLE IF NOT EXISTS sessions (id TEXT PRIMARY KEY, user_id INTEGER REFERENCES users, created_at REAL);
CREATE TABLE IF NOT EXISTS spent_tokens (id TEXT PRIMARY KEY, spent_at REAL);
CREATE INDEX IF NOT EXISTS passkeys_of_user ON passkeys (user_id);
CREATE INDEX IF NOT EXISTS spent_when ON spent_tokens (spent_at);
"""

SECRET_KEY = secrets.token_hex()
app = Flask(__name__, instance_path=str(Path("instance").absolute()))
app.config.update(SECRET_KEY=SECRET_KEY, SESSION_COOKIE_SAMESITE="Lax", MAX_CONTENT_LENGTH=128 * 1024)
Path(app.instance_path).mkdir(exist_ok=True)
serializers = {name: URLSafeTimedSerializer(SECRET_KEY, salt=name) for name in ("link", "create", "get")}
connections = threading.local()

HEAD = '<!doctype html><html lang="en"><meta charset="utf-8"><title>Reference</title>'
SIGN_IN, CHECK_EMAIL, CONFIRM, ACCOUNT = (
    app.jinja_env.from_string(HEAD + html)
    for html in (
        """<h1>Sign in</h1>
<form method="post"><input name="email" type="email"><button>Email me a sign-in link</button></form>
<passkey-sign-in options="{{ options }}"><form method="post" action="/sign-in/passkey">
<input type="hidden" name="credential"><button>Sign in with a passkey</button></form></passkey-sign-in>""",
        """<h1>We wrote to {{ email }}</h1>
<form method="post" action="/sign-in/code"><input name="code"><button>Sign in</button></form>""",
        """<h1>Sign in as {{ email }}</h1><form method="post"><button>Sign in</button></form>""",
        """<h1>{{ email }}</h1>
<ul>{% for key in passkeys %}<li>Made {{ key.created_at }}, last used {{ key.last_used_at }}</li>{% endfor %}</ul>
<passkey-registration options="{{ options }}"><form method="post" action="/account/passkeys">
<input type="hidden" name="credential"><button>Create a passkey</button></form></passkey-registration>""",
    )
)


def database() -> sqlite3.Connection:
    """Return this thread's connection. The end of its `with` commits; an exception rolls back."""
    if not hasattr(connections, "own"):
        connections.own = sqlite3.connect(Path(app.instance_path) / "reference.db")
        connections.own.row_factory = sqlite3.Row
        connections.own.executescript(SCHEMA)
    return connections.own


def one(statement: str, *values: Any) -> Any:
    """Return the first row of the statement's result, or None."""
    return database().execute(statement, values).fetchone()


def issue(purpose: str, bound_to: str, id: str) -> str:
    """Return a signed token that works for `purpose`, with `bound_to`, once."""
    return serializers[purpose].dumps([id, bound_to])


def read(purpose: str, token: str, bound_to: str) -> str:
    """Return the token's id, or answer 400."""
    try:
        id, claim = serializers[purpose].loads(token, max_age=TOKEN_SECONDS)
    except BadSignature:
        abort(400)
    return id if claim == bound_to else abort(400)


def spend(id: str) -> None:
    """Use the token up, or answer 400. Call this first in a transaction: the primary key decides who was first."""
    insert = "INSERT INTO spent_tokens VALUES (?, ?) ON CONFLICT DO NOTHING"
    if not database().execute(insert, (id, time())).rowcount:
        abort(400)
    database().execute("DELETE FROM spent_tokens WHERE spent_at < ?", (time() - TOKEN_SECONDS - 24 * 3600,))


def open_response(purpose: str, bound_to: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Spend the challenge of the form's credential. Return the credential, and the arguments to verify it with."""
    credential = json.loads(request.form["credential"])
    client_data = json.loads(base64url_to_bytes(credential["response"]["clientDataJSON"]))
    challenge = base64url_to_bytes(client_data["challenge"])
    spend(read(purpose, challenge.decode(), bound_to))
    if client_data.get("crossOrigin") or "topOrigin" in client_data:
        abort(400)
    expected = {"expected_challenge": challenge, "expected_origin": SITE_URL, "expected_rp_id": "localhost"}
    return credential, {**expected, "require_user_verification": True}


def browser() -> str:
    """Return this browser's id, from its cookie."""
    return session.setdefault("browser", secrets.token_urlsafe(16))


def code_for(id: str) -> str:
    return hmac.digest(SECRET_KEY.encode(), id.encode(), "sha256").hex()[:8]


def current_user() -> Any:
    select = "SELECT users.* FROM sessions JOIN users ON users.id = user_id WHERE sessions.id = ? AND created_at > ?"
    return one(select, session.get("session"), time() - SESSION_SECONDS)


def start_session(user_id: int) -> ResponseReturnValue:
    """Insert a session for the user, in the caller's transaction."""
    session["session"] = secrets.token_urlsafe(16)
    database().execute("INSERT INTO sessions VALUES (?, ?, ?)", (session["session"], user_id, time()))
    return redirect("/account", 303)


@app.get("/sign-in")
def sign_in() -> ResponseReturnValue:
    challenge = issue("get", browser(), secrets.token_urlsafe(16)).encode()
    options = webauthn.generate_authentication_options(
        rp_id="localhost", challenge=challenge, timeout=TOKEN_SECONDS * 1000, user_verification=VERIFIED
    )
    return SIGN_IN.render(options=webauthn.options_to_json(options))


@app.post("/sign-in")
def ask() -> ResponseReturnValue:
    id, email = secrets.token_urlsafe(16), request.form["email"].strip().lower()
    if email.count("@") != 1 or not email.isascii() or not email.isprintable():
        abort(400)
    session["request"] = [id, email, time()]
    link, code = f"{SITE_URL}/sign-in/link/{issue('link', browser(), id)}", code_for(id)
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = "Sign in", "reference@localhost", email
    message.set_content(f"Sign in: {link}\n\nOr type this code where you asked for it: {code}\n")
    message.add_alternative(f'<p><a href="{link}">Sign in</a>, or type this code: <b>{code}</b></p>', subtype="html")
    with smtplib.SMTP(os.environ["FLASK_MAIL_SERVER"], int(os.environ["FLASK_MAIL_PORT"])) as server:
        server.send_message(message)
    return redirect("/sign-in/check-email", 303)


@app.get("/sign-in/check-email")
def check_email() -> ResponseReturnValue:
    return CHECK_EMAIL.render(email=session["request"][1])


@app.get("/sign-in/link/<token>")
def show_link(token: str) -> ResponseReturnValue:
    if one("SELECT 1 FROM spent_tokens WHERE id = ?", read("link", token, browser())):
        abort(410)
    return CONFIRM.render(email=session["request"][1])


@app.post("/sign-in/link/<token>")
def use_link(token: str) -> ResponseReturnValue:
    return prove(read("link", token, browser()))


@app.post("/sign-in/code")
def use_code() -> ResponseReturnValue:
    id, _, asked_at = session["request"]
    right = hmac.compare_digest(request.form["code"].encode(), code_for(id).encode())
    return prove(id) if right and time() - asked_at < TOKEN_SECONDS else abort(400)


def prove(id: str) -> ResponseReturnValue:
    """Spend this browser's request and sign its address in. Create the account if there is none."""
    asked_id, email, _ = session.pop("request")
    with database() as connection:
        spend(id if id == asked_id else abort(400))
        insert = "INSERT INTO users (email, handle) VALUES (?, ?) ON CONFLICT DO NOTHING"
        connection.execute(insert, (email, secrets.token_bytes(64)))
        return start_session(one("SELECT id FROM users WHERE email = ?", email)["id"])


@app.post("/sign-in/passkey")
def use_passkey() -> ResponseReturnValue:
    with database() as connection:
        try:
            credential, expected = open_response("get", browser())
            id = base64url_to_bytes(credential["rawId"])
            select = "SELECT * FROM passkeys JOIN users ON users.id = user_id WHERE passkeys.id = ?"
            passkey = connection.execute(select, (id,)).fetchone()
            expected |= {
                "credential_public_key": passkey["public_key"],
                "credential_current_sign_count": passkey["sign_count"],
            }
            if base64url_to_bytes(credential["response"]["userHandle"]) != passkey["handle"]:
                abort(400)
            verified = webauthn.verify_authentication_response(credential=credential, **expected)
        except Exception:  # The library raises many types on hostile input. The challenge stays spent.
            return "That passkey did not work.", 400
        update = "UPDATE passkeys SET sign_count = ?, synced = ?, last_used_at = ? WHERE id = ?"
        connection.execute(update, (verified.new_sign_count, verified.credential_backed_up, time(), id))
        return start_session(passkey["user_id"])


@app.get("/account")
def account() -> ResponseReturnValue:
    if not (user := current_user()):
        return redirect("/sign-in", 303)
    passkeys = database().execute("SELECT * FROM passkeys WHERE user_id = ?", (user["id"],)).fetchall()
    options = webauthn.generate_registration_options(
        rp_id="localhost",
        rp_name="Reference",
        user_id=user["handle"],
        user_name=user["email"],
        challenge=issue("create", user["handle"].hex(), secrets.token_urlsafe(16)).encode(),
        timeout=TOKEN_SECONDS * 1000,
        authenticator_selection=structs.AuthenticatorSelectionCriteria(
            resident_key=structs.ResidentKeyRequirement.REQUIRED, user_verification=VERIFIED
        ),
        exclude_credentials=[structs.PublicKeyCredentialDescriptor(id=passkey["id"]) for passkey in passkeys],
    )
    return ACCOUNT.render(email=user["email"], passkeys=passkeys, options=webauthn.options_to_json(options))


@app.post("/account/passkeys")
def create_passkey() -> ResponseReturnValue:
    user = current_user() or abort(401)
    with database() as connection:
        try:
            credential, expected = open_response("create", user["handle"].hex())
            new = webauthn.verify_registration_response(credential=credential, **expected)
        except Exception:
            return "That passkey was not made.", 400
        values = new.credential_id, user["id"], new.credential_public_key, new.sign_count, new.credential_backed_up
        connection.execute(
            "INSERT INTO passkeys VALUES (?, ?, ?, ?, ?, ?, NULL) ON CONFLICT DO NOTHING", (*values, time())
        )
        return redirect("/account", 303)
