"""Single use under load: 32 threads wait at a barrier, and then send the same request at the same moment.

Each is a browser's tab with the same cookies. The database decides which request is the first (see single_use.py). All
others change nothing and are refused, and none gets a 5xx.
"""

import json
from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest
import time_machine

from app import proof
from app.models import now
from authenticator import Authenticator
from tests.conftest import ADA, Visitor, at_once, expect
from tests.test_cli import make_desk

pytestmark = pytest.mark.slow

CROWD = 32


@pytest.fixture
def app(make_app):
    """Return a site without limits, because they would refuse most of the requests before the database decides."""
    return make_app(FLASK_LIMITS_ENABLED="false")


@pytest.fixture
def crowd(visitor) -> Callable[..., list]:
    """Post all of these forms at once, each from a tab of its own. Return the tabs that got a 303, and assert that all
    others got the status `refused`."""

    def run(path: str, forms: list[dict | None], refused: int = 400) -> list:
        tabs = [visitor.twin() for _ in forms]
        statuses = at_once(lambda tab, form: tab.post(path, form).status_code, tabs, forms)
        assert {*statuses} <= {303, refused}, Counter(statuses)
        return [tab for tab, status in zip(tabs, statuses, strict=True) if status == 303]

    return run


def test_one_link_signs_in_once(visitor, crowd, snapshot, reasons):
    before = sizes(snapshot)
    visitor.ask("ada@example.org")
    [winner] = crowd(visitor.read_mail().link, [None] * CROWD, refused=410)
    assert winner.is_signed_in()
    assert reasons == ["already_used"] * (CROWD - 1)
    assert sizes(snapshot) == grown(before, users=1, sessions=1, activities=1, spent_tokens=1)


def test_one_code_signs_in_once(visitor, crowd, snapshot, reasons):
    before = sizes(snapshot)
    visitor.ask("ada@example.org")
    [winner] = crowd("/sign-in/code", [{"code": visitor.read_mail().code}] * CROWD)
    assert winner.is_signed_in()
    assert reasons == ["already_used"] * (CROWD - 1)
    assert sizes(snapshot) == grown(before, users=1, sessions=1, activities=1, spent_tokens=1)


def test_one_assertion_signs_in_once(ada, phone, crowd, snapshot, reasons):
    ada.sign_out()
    before = sizes(snapshot)
    credential = phone.get(ada.request_options())
    [winner] = crowd("/sign-in/passkey", [form_with(credential)] * CROWD)
    assert winner.is_signed_in()
    assert reasons == ["already_used"] * (CROWD - 1)
    assert sizes(snapshot) == grown(before, sessions=1, activities=1, spent_tokens=1)


def test_one_registration_adds_one_passkey(ada, crowd, snapshot, reasons):
    before = sizes(snapshot)
    credential = Authenticator().create(ada.creation_options())
    assert len(crowd("/account/passkeys", [form_with(credential)] * CROWD)) == 1
    assert reasons == ["already_used"] * (CROWD - 1)
    assert sizes(snapshot) == grown(before, passkeys=1, activities=1, notices=1, spent_tokens=1)


def test_one_credential_is_added_once_with_many_challenges(ada, crowd, snapshot, reasons):
    """Every challenge is right here, and is spent. Only the credential's id is unique."""
    before = sizes(snapshot)
    forms = [form_with(Authenticator().create(ada.creation_options(), credential_id=bytes(32))) for _ in range(CROWD)]
    assert len(crowd("/account/passkeys", forms)) == 1
    assert reasons == ["duplicate_credential"] * (CROWD - 1)
    assert sizes(snapshot) == grown(before, passkeys=1, activities=1, notices=1, spent_tokens=CROWD)


def test_one_mailed_code_proves_once(ada, crowd, snapshot, reasons):
    page = ada.post("/account/confirm", {"mail": "code"}).text
    form = {
        "proof": page.partition('name="proof" value="')[2].partition('"')[0],
        "code": ada.read_code("ada@example.org"),
    }
    before = sizes(snapshot)
    assert len(crowd("/account/confirm", [form] * CROWD, refused=403)) == 1
    assert reasons == ["already_used"] * (CROWD - 1)
    assert sizes(snapshot) == grown(before, activities=1, spent_tokens=1)


def test_forms_sent_while_the_account_is_deleted_break_nothing(ada, snapshot):
    """A request that loses its account half-way is undone. Later ones find no session."""
    forms = [
        ("/account/delete", None),
        ("/account/passkeys/1/rename", {"name": "phone"}),
        ("/account/confirm", {"credential": "nonsense"}),
        ("/sign-out", None),
    ]
    tabs = [ada.twin() for _ in range(CROWD)]
    statuses = at_once(lambda tab, form: tab.post(*form).status_code, tabs, forms * (CROWD // len(forms)))
    # Before the account is deleted, each form is answered as usual: 303 or, to the nonsense, 403. Afterwards, the
    # session or the passkey is gone: 401 or 404.
    assert set(statuses) <= {303, 401, 403, 404}
    left = sizes(snapshot)
    # If signing out came first, the account is still there.
    assert left["users"] == left["passkeys"] == 0 or left["sessions"] == 0


def test_every_challenge_works_in_a_crowd(ada, phone, crowd, snapshot, reasons):
    """Every right response signs in: load alone is no reason to refuse one."""
    ada.sign_out()
    before = sizes(snapshot)
    forms = [form_with(phone.get(ada.request_options())) for _ in range(CROWD)]
    assert len(crowd("/sign-in/passkey", forms)) == CROWD
    assert reasons == []
    assert sizes(snapshot) == grown(before, sessions=CROWD, activities=CROWD, spent_tokens=CROWD)


def form_with(credential: dict) -> dict:
    """Return the form that sends a credential."""
    return {"credential": json.dumps(credential)}


def test_one_recovery_code_signs_in_once(ada, phone, crowd, snapshot, reasons):
    """Each tab has a token of its own, so only the code can decide."""
    [code, *_] = ada.require_passkey()
    ada.sign_out()
    tokens = [ada.open_second_step("ada@example.org") for _ in range(CROWD)]
    before = sizes(snapshot)
    [winner] = crowd("/sign-in/second-step", [{"token": token, "code": code} for token in tokens])
    assert winner.is_signed_in()
    assert reasons == ["wrong_recovery_code"] * (CROWD - 1)
    after = sizes(snapshot)
    assert after["recovery_codes"] == before["recovery_codes"] - 1
    assert after["sessions"] == before["sessions"] + 1


def test_one_token_of_the_second_step_signs_in_once(ada, phone, crowd, snapshot, reasons):
    codes = ada.require_passkey()
    ada.sign_out()
    token = ada.open_second_step("ada@example.org")
    before = sizes(snapshot)
    [winner] = crowd("/sign-in/second-step", [{"token": token, "code": code} for code in codes])
    assert winner.is_signed_in()
    assert reasons == ["already_used"] * (len(codes) - 1)
    assert sizes(snapshot)["recovery_codes"] == before["recovery_codes"] - 1


def test_one_of_the_last_two_passkeys_stays(ada, phone, snapshot):
    """If the removals didn't wait for each other, both would see two passkeys."""
    ada.make_passkey(Authenticator())
    ada.require_passkey()
    tabs, numbers = [ada.twin() for _ in range(CROWD)], [1, 2] * (CROWD // 2)
    statuses = Counter(
        at_once(lambda tab, number: tab.post(f"/account/passkeys/{number}/remove").status_code, tabs, numbers)
    )
    # One removal succeeds. The others meet the last passkey (400), or one that is gone (404).
    assert set(statuses) <= {303, 400, 404}
    assert statuses[303] == 1
    assert sizes(snapshot)["passkeys"] == 1


@pytest.mark.parametrize(("path", "kind"), [("/account/delete", "account_deleted"), ("/sign-out", "session_ended")])
def test_signing_out_and_deleting_happen_once(ada, events, path, kind):
    statuses = at_once(lambda tab: tab.post(path).status_code, [ada.twin() for _ in range(CROWD)])
    # 401: the session is gone. Signing out again is no failure, so the first 303 isn't always the only one.
    assert set(statuses) <= {303, 401}
    assert [event.name for event in events if event.name == kind] == [kind]


def test_session_opened_while_a_passkey_becomes_required_is_ended(ada, app, phone):
    """A sign-in by mail at that moment leads to the second step, or its session is ended."""
    codes = ada.make_recovery_codes()
    crowd = [Visitor(app) for _ in range(CROWD - 1)]
    for tab in crowd:
        tab.ask("ada@example.org")
        tab.code = tab.read_mail().code

    def act(tab) -> None:
        if tab is ada:
            expect(ada.post("/account/require-passkey", {"require": "yes", "kept": codes[0]}), 303)
        else:
            expect(tab.type_code(tab.code), 303)

    at_once(act, [*crowd, ada])
    assert ada.is_signed_in()
    assert not any(tab.is_signed_in() for tab in crowd)


def test_signing_in_by_passkey_while_the_account_is_disabled_leaves_no_session(ada, phone, app, snapshot):
    """Otherwise the session would work as soon as the operator enables the account again."""
    desk = make_desk(app)
    ada.sign_out()
    disable = partial(desk, "users", "disable", ADA)
    for _ in range(20):
        tabs = [Visitor(app) for _ in range(7)]
        sign_ins = [partial(tab.authenticate, phone.get(tab.request_options())) for tab in tabs]
        *answers, _ = at_once(lambda act: act(), [*sign_ins, disable])
        # A sign-in before the account is disabled works, and its session ends with it. Later ones are refused.
        assert {answer.status_code for answer in answers} <= {303, 400}
        assert snapshot()["sessions"] == []
        desk("users", "enable", "ada@example.org")


@pytest.mark.parametrize("by", ["passkey", "mail"])
def test_two_accounts_that_sign_in_to_each_other_cause_no_deadlock(app, by):
    """A sign-in locks its account, and ends a session of the account that was signed in before."""
    phones = {"ada@example.org": Authenticator(), "bob@example.org": Authenticator()}
    tabs = []
    for email, phone in phones.items():
        owner = Visitor(app)
        owner.sign_in_by_link(email)
        owner.make_passkey(phone)
        for _ in range(CROWD // 2):
            tabs.append((Visitor(app), *(each for each in phones if each != email)))
            tabs[-1][0].sign_in_by_passkey(phone)

    def prepare(tab, email) -> tuple[str, dict]:
        if by == "passkey":
            return "/sign-in/passkey", form_with(phones[email].get(tab.post("/sign-in/passkey/options").json))
        expect(tab.ask(email), 303)
        return "/sign-in/code", {"code": tab.read_mail().code}

    prepared = [(tab, *prepare(tab, email)) for tab, email in tabs]

    at_once(lambda tab, path, form: expect(tab.post(path, form), 303), *zip(*prepared, strict=True))
    assert all(email in tab.get("/account").text for tab, email in tabs)


def test_two_visitors_who_send_each_others_passkey_as_proof_cause_no_deadlock(app, reasons):
    """Each request has locked its own account, and looks up a passkey of the other one."""
    ada, bob = Authenticator(), Authenticator()
    tabs = []
    for email, own, other in (("ada@example.org", ada, bob), ("bob@example.org", bob, ada)):
        visitor = Visitor(app)
        visitor.sign_in_by_link(email)
        visitor.make_passkey(own)
        tabs += [(visitor.twin(), other) for _ in range(CROWD // 2)]
    forms = []
    for tab, other in tabs:
        options = tab.confirmation_options()
        forms.append(form_with(other.get(options | {"allowCredentials": []})))
    at_once(lambda tab, form: expect(tab.post("/account/confirm", form), 403), [tab for tab, _ in tabs], forms)
    assert reasons == ["other_account"] * CROWD


def test_second_step_during_a_change_of_address_leaves_no_session(app):
    """The token belongs to the old mailbox, which can't sign in once the address has changed."""
    for number in range(20):
        old, new = f"old{number}@example.org", f"new{number}@example.org"
        owner, tab = Visitor(app), Visitor(app)
        owner.sign_in_by_link(old)
        owner.make_passkey(Authenticator())
        codes = owner.require_passkey()
        form = {"token": tab.open_second_step(old), "code": codes[1]}
        expect(owner.post("/account/email", {"email": new}), 303)
        change = {"code": owner.read_code(new)}

        changed, stepped = at_once(
            lambda who, path, form: who.post(path, form),
            [owner, tab],
            ["/account/email", "/sign-in/second-step"],
            [change, form],
        )
        # Whichever was first: the change ends the sessions that the old mailbox opened.
        expect(changed, 303)
        assert owner.is_signed_in()
        assert not tab.is_signed_in()
        # The former mailbox doesn't learn the new address.
        assert new not in stepped.text


def test_recovery_codes_made_at_once_leave_ten(ada, snapshot):
    at_once(lambda tab: expect(tab.post("/account/recovery-codes"), 200), [ada.twin() for _ in range(8)])
    assert sizes(snapshot)["recovery_codes"] == 10


def test_only_the_last_of_many_tabs_that_prove_at_once_is_proven(ada, phone, app):
    """Each tab has a cookie with another mark, and the session has only one of them. The others may prove again."""
    tabs = [ada.twin() for _ in range(CROWD)]
    for tab in tabs:
        options = tab.confirmation_options()
        tab.form = form_with(phone.get(options))
    at_once(lambda tab: expect(tab.post("/account/confirm", tab.form), 303), tabs)
    answers = Counter(tab.post("/account/passkeys/options").status_code for tab in tabs)
    assert answers == {200: 1, 403: CROWD - 1}
    assert all(tab.is_signed_in() for tab in tabs)
    late = tabs[0]
    options = late.confirmation_options()
    expect(late.post("/account/confirm", form_with(phone.get(options))), 303)
    expect(late.post("/account/passkeys/options"), 200)


def test_copied_cookie_gets_nothing_from_a_proof_at_the_same_moment(ada, phone, app, snapshot):
    """The copied cookie has no fresh proof before, during or after the owner's."""
    with time_machine.travel(now() + 2 * proof.PROOF_LIFETIME):
        options = ada.confirmation_options()
        form, thieves = form_with(phone.get(options)), [ada.twin() for _ in range(CROWD - 1)]

        def act(who) -> int:
            if who is ada:
                return who.post("/account/confirm", form).status_code
            return who.post("/account/delete").status_code

        statuses = at_once(act, [ada, *thieves])
        assert statuses == [303] + [403] * (CROWD - 1)
        assert sizes(snapshot)["users"] == 1
        expect(ada.post("/account/passkeys/options"), 200)


def test_one_session_is_ended_once(ada, app, phone, crowd):
    other = Visitor(app)
    other.sign_in_by_passkey(phone)
    assert len(crowd("/account/sessions/2/revoke", [None] * CROWD, refused=404)) == 1
    assert not other.is_signed_in()
    assert ada.is_signed_in()


def test_one_session_stays_when_each_ends_all_others(app, ada, phone, snapshot):
    browsers = [Visitor(app) for _ in range(CROWD - 1)]
    for browser in browsers:
        browser.sign_in_by_passkey(phone)
    browsers.append(ada)
    statuses = Counter(at_once(lambda browser: browser.post("/account/sessions/revoke-all").status_code, browsers))
    assert statuses == {303: 1, 401: CROWD - 1}
    assert [browser.is_signed_in() for browser in browsers].count(True) == 1
    assert sizes(snapshot)["sessions"] == 1


def test_second_step_checks_ten_of_many_wrong_recovery_codes_at_once(make_app, phone, reasons):
    """Each comes from another IP address. After the tenth, even a right code is refused."""
    app = make_app()
    owner, thief = Visitor(app), Visitor(app)
    owner.sign_in_by_link("ada@example.org")
    owner.make_passkey(phone)
    codes = owner.require_passkey()
    token = thief.open_second_step("ada@example.org")
    tabs = [thief.twin() for _ in range(CROWD)]
    for number, tab in enumerate(tabs):
        tab.client.environ_base["REMOTE_ADDR"] = f"192.0.2.{number}"
    guess = {"token": token, "code": "CDFG-HJKM"}
    at_once(lambda tab: expect(tab.post("/sign-in/second-step", guess), 400), tabs)
    looked_at = {"wrong_recovery_code": 9, "too_many_wrong_recovery_codes": 1}
    assert Counter(reasons) == {**looked_at, "already_used": CROWD - 10}
    expect(thief.post("/sign-in/second-step", {"token": token, "code": codes[0]}), 400)


def sizes(snapshot) -> dict[str, int]:
    """Return the number of rows of each table, without the activities about refusals."""
    rows = snapshot()
    rows["activities"] = [row for row in rows["activities"] if not row[2].endswith("_refused")]
    return {name: len(rows) for name, rows in rows.items()}


def grown(before: dict[str, int], **by: int) -> dict[str, int]:
    """Return the sizes with so many rows added."""
    return {name: size + by.get(name, 0) for name, size in before.items()}
