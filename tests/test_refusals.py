"""Each reason for a refusal has a sentence of its own for the visitor, or shares one on purpose."""

import ast
import re
from collections.abc import Iterator

import html5lib
import pytest
from flask import g

from app.models import User
from app.operator import output
from tests.conftest import EVE, ROOT, text_of

# These exceptions carry a reason. `refusing` raises CeremonyError for whatever goes wrong in its block.
RAISED = {"Refusal", "CeremonyError", "TooMany", "Unsent", "refusing"}

# A variable in the place of a reason. Its value is found elsewhere in the source.
PASSED_ON = {"reason", "error.reason"}

# Reasons that end with a name, such as `too_many_proofs`, are listed by their beginning.
BEGINNINGS = {"bound_to_another_", "too_many_"}

# Reasons for a general sentence, such as "That didn't sign you in" or "This link doesn't work". Honest visitors don't
# meet them, or can't do anything about them. Attackers don't learn how close they came. The log has the exact reason.
GENERAL = {
    # Tokens.
    "malformed_token",
    "from_the_future",
    "bound_to_another_",
    # The account was changed or deleted in the meantime.
    "account_changed",
    "account_gone",
    "other_email",
    # The response of an authenticator.
    "algorithm_not_offered",
    "attestation_not_accepted",
    "backup_eligibility_changed",
    "credential_id_mismatch",
    "credential_id_too_long",
    "cross_origin",
    "inconsistent_backup_flags",
    "malformed_attestation",
    "malformed_authenticator_data",
    "malformed_cbor",
    "malformed_client_data",
    "malformed_response",
    "not_base64url",
    "not_discoverable",
    "not_json",
    "not_utf8",
    "unknown_passkey",
    "unusable_key",
    "user_not_present",
    "user_not_verified",
    "weak_key",
    "wrong_origin",
    "wrong_rp_id",
    "wrong_signature",
    "wrong_type",
    "wrong_user_handle",
}

# Other reasons that share a sentence, because the visitor can do the same about them.
SHARED = [
    {"mail_server_unreachable", "mail_server_busy", "mail_refused", "message_refused"},
]

# Reasons that a request ends with: the error page has a sentence for each status.
ABORTS = {
    (400, "bad_data"),
    (400, "malformed_body"),
    (400, "unknown_host"),
    (401, "account_gone"),
    (401, "not_signed_in"),
    (401, "session_ended"),
    (403, "cross_site"),
    (403, "not_proven"),
    (409, "another_account"),
}

# A page that has a notice for one reason, apart from those of templates/macros.html.
PAGES = {"not_proven": "account/confirm.html"}

# Only the operator reads these, as the answer of a command.
OPERATORS = {"broken_notice", "has_account"}

CEREMONIES = ["authentication", "registration", "confirmation", "email"]

MODULES = {path: ast.parse(path.read_text()) for path in sorted((ROOT / "app").rglob("*.py"))}


def texts(node: ast.AST) -> Iterator[str]:
    """Yield the texts in this expression, but not those that only decide between others."""
    if isinstance(node, ast.IfExp):
        yield from texts(node.body)
        yield from texts(node.orelse)
    elif isinstance(node, ast.JoinedStr):
        assert isinstance(node.values[0], ast.Constant), ast.unparse(node)
        yield node.values[0].value
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    else:
        for child in ast.iter_child_nodes(node):
            yield from texts(child)


def called(node: ast.AST) -> str:
    """Return the name of the function or class that this expression calls, if it is a call."""
    return ast.unparse(node.func).rpartition(".")[2] if isinstance(node, ast.Call) else ""


def reasons() -> set[str]:
    """Return every reason that the site refuses something for, collected from its source."""
    found: set[str] = set()
    for path, module in MODULES.items():
        for node in ast.walk(module):
            if called(node) in RAISED:
                names = set(texts(node.args[0]))
                assert names or ast.unparse(node.args[0]) in PASSED_ON, f"{path.name}: {ast.unparse(node)}"
                found |= names
            elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "reason":
                found |= {text for text in texts(node.value) if re.fullmatch(r"[a-z]+(_[a-z]+)+", text)}
            elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "REASONS":
                found |= {text for value in node.value.values for text in texts(value)}
    return found


def aborts() -> set[tuple[int, str]]:
    """Return the status and reason of each request that ends with an error page, collected from the source."""
    found = set()
    for module in MODULES.values():
        for node in ast.walk(module):
            if called(node) == "abort" and len(node.args) == 2:
                status, reason = (argument.value for argument in node.args)
                found.add((status, reason))
            elif called(node) == "BadRequest":
                found.add((400, node.args[0].value))
            elif called(node) == "event" and list(texts(node.args[0])) == ["refused"]:
                names = [keyword.value.value for keyword in node.keywords if isinstance(keyword.value, ast.Constant)]
                found |= {(401, name) for name in names}
    return found


def alert_in(page: str) -> str:
    """Return the sentence of the page's alert."""
    [alert] = html5lib.parse(page, namespaceHTMLElements=False).iterfind(".//*[@role='alert']")
    return text_of(alert)


@pytest.fixture
def sentences(app):
    """Return what a visitor may read for this reason, apart from the general sentences."""
    with app.test_request_context():
        g.minutes = 1
        macros = app.jinja_env.get_template("macros.html").make_module({"local": True})

        def render(reason: str) -> set[str]:
            dead_link = app.jinja_env.get_template("sign_in/dead_link.html").render(refusal=reason, link_minutes=10)
            pages = [dead_link, *(str(macros.refused(reason, ceremony)) for ceremony in CEREMONIES)]
            return {alert_in(page) for page in pages}

        general = render("unheard_of")

        def own(reason: str) -> set[str]:
            if reason in OPERATORS:
                return {output.SENTENCES[reason]}
            if reason in PAGES:
                return {PAGES[reason]}
            return render(reason) - general

        yield own


def test_each_reason_has_a_sentence_or_stands_in_the_list_of_the_general_one(sentences):
    found = reasons()
    assert {"already_used", "wrong_signature", "removed_passkey", "mail_refused", *BEGINNINGS} <= found
    general = {reason for reason in found if not sentences(reason)}
    assert general - GENERAL == set(), "give these a sentence in templates/macros.html, or add them to the list"
    assert GENERAL - general == set(), "these have a sentence, or there is no such reason: take them out of the list"


def test_no_two_reasons_share_a_sentence_by_accident(sentences):
    by_sentence: dict[str, set[str]] = {}
    for reason in reasons():
        for sentence in sentences(reason):
            by_sentence.setdefault(sentence, set()).add(reason)
    shared = [together for together in by_sentence.values() if len(together) > 1]
    assert [together for together in shared if together not in SHARED] == []
    assert [together for together in SHARED if together not in shared] == []


def test_commands_have_a_sentence_for_each_reason_of_their_own_and_of_the_mail_server():
    assert OPERATORS | {"recipient_refused"}.union(*SHARED) <= output.SENTENCES.keys()


@pytest.mark.parametrize("reason", PAGES)
def test_page_has_a_notice_for_the_reason(app, reason):
    source, _, _ = app.jinja_env.loader.get_source(app.jinja_env, PAGES[reason])
    assert f'{{% if refusal == "{reason}" %}}' in source


def test_each_reason_that_ends_a_request_stands_in_the_list():
    assert aborts() == ABORTS


def test_each_status_of_an_ended_request_has_a_sentence_of_its_own(app):
    with app.test_request_context():

        class SomebodyElse:
            is_authenticated, user = False, User(email=EVE, user_handle=b"")

        page = app.jinja_env.get_template("error.html")
        statuses = {400, 404, 405, 413, 500, 503, *(status for status, _ in ABORTS)}
        pages = {page.render(status=status, current_user=SomebodyElse) for status in statuses}
        assert len(pages) == len(statuses)
