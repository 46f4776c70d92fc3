"""The two sign-ins of `/inside/example`, through the front door of a site on localhost.

`python -m tests.inside.example` records them anew, into learn/inside/example.json.
"""

import json
import tempfile
from datetime import UTC, datetime
from typing import Any

import time_machine
from flask import Flask
from flask_migrate import Migrate, upgrade

from app import create_app
from app.database import db
from app.models import Activity
from authenticator import Authenticator
from learn.inside.examples import FILE
from tests.conftest import ADA, ROOT, Visitor, expect, rows

AT = datetime(2026, 11, 20, 10, 4, 12, 417_000, tzinfo=UTC)
UNTIL_ANSWERED = 8.214

USER_AGENT = (
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36"
)
GOOGLE_PASSWORD_MANAGER = bytes.fromhex("ea9b8d664d011d213ce4b6b48cb575d4")
# Any program on Ada's machine can have another port, and show a page that looks like this site.
PHISHING_PAGE = "http://localhost:6660"


def record(app: Flask) -> dict[str, Any]:
    """Sign in with a passkey, and once more on a phishing page. Return both rows of the activity."""
    with time_machine.travel(AT, tick=False) as clock:
        ada = Visitor(app)
        ada.client.environ_base["HTTP_USER_AGENT"] = USER_AGENT
        phone = Authenticator(aaguid=GOOGLE_PASSWORD_MANAGER)
        ada.sign_in_by_link(ADA)
        ada.make_passkey(phone)
        for origin, status in ((phone.origin, 303), (PHISHING_PAGE, 400)):
            ada.sign_out()
            clock.shift(3600)
            options = ada.request_options()
            clock.shift(UNTIL_ANSWERED)
            expect(ada.authenticate(phone.get(options, client_data={"origin": origin})), status)
    with_passkey = [row for row in rows(app, Activity) if "authentication" in row.transcript]
    return {
        name: {
            "kind": row.kind,
            "browser": row.browser,
            "detail": row.detail,
            "transcript": json.loads(row.transcript),
        }
        for name, row in zip(("accepted", "refused"), with_passkey, strict=True)
    }


if __name__ == "__main__":
    app = create_app(environ={}, instance_path=tempfile.mkdtemp())
    Migrate(app, db, directory=str(ROOT / "migrations"))
    with app.app_context():
        upgrade()
    FILE.write_text(json.dumps(record(app), indent=1) + "\n")
