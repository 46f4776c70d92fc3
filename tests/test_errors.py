"""Error pages: what visitors and scripts get when something fails."""

import json

import pytest
from sqlalchemy import text

from app.database import db
from tests.conftest import Visitor, expect
from tests.test_protection import OPTIONS, assert_protected


def test_unhandled_error_gets_an_error_page(app):
    @app.get("/broken")
    def break_down():
        raise RuntimeError

    visitor = Visitor(app)
    response = expect(visitor.get("/broken"), 500)
    assert visitor.alert(response)
    assert "RuntimeError" not in response.text
    assert_protected(response)


@pytest.mark.parametrize("path", OPTIONS)
def test_errors_for_scripts_are_problem_details(visitor, path):
    """RFC 9457."""
    responses = [
        visitor.post(path, headers={"Sec-Fetch-Site": "cross-site"}),
        visitor.client.post(path, base_url="http://evil.example"),
        visitor.client.put(path, base_url=visitor.site_url, headers={"Sec-Fetch-Site": "same-origin"}),
    ]
    if path.startswith("/account"):
        responses.append(visitor.post(path))
    for response in responses:
        assert response.mimetype == "application/problem+json"
        problem = json.loads(response.text)
        assert problem["status"] == response.status_code >= 400
        assert problem["title"]


def test_visitor_keeps_their_cookie_when_the_database_fails(ada, app):
    with app.app_context():
        db.session.execute(text("DROP TABLE activities"))
        db.session.commit()
    response = expect(ada.post("/sign-out"), 503)
    assert "Set-Cookie" not in response.headers
    assert ada.is_signed_in()
