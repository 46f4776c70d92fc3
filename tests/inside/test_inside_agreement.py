"""Responses with two faults at once: the first check that fails in Look inside is the site's reason.

The fixture `look_inside_agrees` compares the two, as in every test.
"""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from authenticator import Authenticator
from tests.inside.test_inside_checks import BOTH, CREATED, USED

pytestmark = pytest.mark.slow

UNHURRIED = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)


@pytest.fixture
def app(make_app):
    """Return a site without limits, so that it checks every response."""
    return make_app(FLASK_LIMITS_ENABLED="false")


def together(first: dict, second: dict) -> tuple[dict, list]:
    """Return the knobs of both faults for the authenticator, and the changes to its response."""
    knobs = {name: value for name, value in (first | second).items() if name not in ("alter", "mangle", "client_data")}
    knobs["client_data"] = first.get("client_data", {}) | second.get("client_data", {})
    mangle = [*first.get("mangle", {}).items(), *second.get("mangle", {}).items()]
    changes = {}
    for name, change in mangle:
        before = changes.get(name, lambda data: data)
        changes[name] = lambda data, before=before, change=change: change(before(data))
    return knobs | {"mangle": changes}, [fault["alter"] for fault in (first, second) if "alter" in fault]


def answer_with(make, options: dict, faults: tuple[str, str], table: dict) -> str:
    """Return an answer with these faults, as JSON text. If the second can't be made after the first, it has one."""
    knobs, alterations = together(*(table[fault][0] for fault in faults))
    try:
        response = make(options, **knobs)
        for alter in alterations:
            response = alter(response)
    except (KeyError, TypeError, ValueError, AttributeError):
        return answer_with(make, options, (faults[0], "nothing"), table)
    return json.dumps(response)


@UNHURRIED
@given(st.tuples(st.sampled_from([*BOTH | CREATED]), st.sampled_from([*BOTH | CREATED])))
def test_registration_with_two_faults(app, ada, faults):
    text = answer_with(Authenticator().create, ada.creation_options(), faults, BOTH | CREATED)
    assert ada.register(text).status_code in (303, 400)


@UNHURRIED
@given(st.tuples(st.sampled_from([*BOTH | USED]), st.sampled_from([*BOTH | USED])))
def test_sign_in_with_two_faults(ada, phone, faults):
    if ada.is_signed_in():
        ada.sign_out()
    text = answer_with(phone.get, ada.request_options(), faults, BOTH | USED)
    assert ada.authenticate(text).status_code in (303, 400)


@UNHURRIED
@given(st.tuples(st.sampled_from([*BOTH | USED]), st.sampled_from([*BOTH | USED])))
def test_proof_with_two_faults(ada, phone, faults):
    text = answer_with(phone.get, ada.confirmation_options(), faults, BOTH | USED)
    assert ada.post("/account/confirm", {"credential": text}).status_code in (303, 403)
