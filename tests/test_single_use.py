"""Signed tokens that work once: issuing, reading and spending them. Other tests are about their uses."""

from datetime import timedelta

import pytest
import time_machine

from app import single_use
from app.database import db, is_time_to_sweep
from app.models import SpentToken, now
from app.refusals import Refusal
from app.single_use import CLOCK_SKEW, KEPT_AFTER_EXPIRY, Purpose, Token
from authenticator import respelled
from tests.conftest import rows

TEA = Purpose("tea", timedelta(minutes=5))
COFFEE = Purpose("coffee", timedelta(minutes=5))

ONE_SECOND = timedelta(seconds=1)


@pytest.fixture
def app_context(app):
    """Run the test within one application context, as in one request."""
    with app.app_context():
        yield


def refusal(purpose: Purpose, text: str, **bound_to: str) -> str:
    """Return the reason for which the token is not read."""
    with pytest.raises(Refusal) as refused:
        single_use.read(purpose, text, **bound_to)
    return refused.value.reason


def spend(app, *ids: str) -> None:
    """Spend new tokens with these ids."""
    with app.app_context():
        for id in ids:
            single_use.spend(single_use.read(TEA, single_use.issue(TEA, id)))
        db.session.commit()


def spent(app) -> set[str]:
    """Return the ids that the site remembers as spent."""
    return {row.id for row in rows(app, SpentToken)}


# Issuing.


def test_each_token_has_an_id_of_its_own(app_context):
    tokens = [single_use.read(TEA, single_use.issue(TEA)) for _ in range(100)]
    assert len({token.id for token in tokens}) == 100
    # 128 random bits.
    assert {len(token.id) for token in tokens} == {22}


def test_issuing_writes_nothing(app, unchanged):
    with unchanged(), app.app_context():
        single_use.issue(TEA, account="1")
        db.session.commit()


# Reading.


def test_token_is_read_as_it_was_issued(app_context, clock):
    clock.move_to(1_800_000_000)
    token = single_use.read(TEA, single_use.issue(TEA, "my-id", account="1", sugar="2"))
    assert token == Token("my-id", {"account": "1", "sugar": "2"}, made_at=now(), expires_at=now() + TEA.lifetime)


def test_reading_spends_nothing(app, unchanged):
    with app.app_context():
        text = single_use.issue(TEA)
    with unchanged(), app.app_context():
        assert single_use.read(TEA, text) == single_use.read(TEA, text)
        assert not single_use.is_spent(single_use.read(TEA, text).id)
        db.session.commit()


def test_token_works_until_its_last_second(app_context, clock):
    clock.move_to(1_800_000_000)
    text = single_use.issue(TEA)
    clock.shift(TEA.lifetime - ONE_SECOND)
    assert single_use.read(TEA, text)
    clock.shift(ONE_SECOND)
    assert refusal(TEA, text) == "expired"


def test_token_may_expire_before_its_lifetime_ends_but_not_after(app_context, clock):
    clock.move_to(1_800_000_000)
    early = single_use.issue(TEA, expires_at="1800000060")
    late = single_use.issue(TEA, expires_at="1900000000")
    assert single_use.read(TEA, late).expires_at == now() + TEA.lifetime
    clock.shift(timedelta(seconds=59))
    assert single_use.read(TEA, early)
    clock.shift(ONE_SECOND)
    assert refusal(TEA, early) == "expired"


def test_token_from_the_future_is_refused(app_context, clock):
    """The clocks of two machines may differ by half a minute."""
    clock.move_to(1_800_000_000)
    text = single_use.issue(TEA)
    clock.shift(-CLOCK_SKEW)
    assert single_use.read(TEA, text)
    clock.shift(-ONE_SECOND)
    assert refusal(TEA, text) == "from_the_future"


def test_token_for_another_purpose_is_refused(app_context):
    assert refusal(COFFEE, single_use.issue(TEA)) == "malformed_token"


def test_token_of_another_site_is_refused(app_context, make_app):
    with make_app().app_context():
        text = single_use.issue(TEA)
    assert refusal(TEA, text) == "malformed_token"


@pytest.mark.parametrize("text", ["", ".", "..", "nonsense", "a.b.c", "\0", "é.é.é", "W10.x.y"])
def test_malformed_token_is_refused(app_context, text):
    assert refusal(TEA, text) == "malformed_token"


def test_token_with_a_character_changed_is_refused(app_context):
    text = single_use.issue(TEA, account="1")
    for place, character in enumerate(text):
        other = "a" if character != "a" else "b"
        assert refusal(TEA, text[:place] + other + text[place + 1 :]) == "malformed_token", f"character {place}"


@pytest.mark.parametrize(
    "rewrite",
    [respelled, lambda token: token + "=", lambda token: token + "\n", lambda token: token[:-5] + "!" + token[-5:]],
    ids=["bits that no byte needs", "padding", "a line break", "a character that decoders skip"],
)
def test_token_has_one_text(app_context, rewrite):
    text = single_use.issue(TEA)
    assert single_use.read(TEA, text).id
    assert refusal(TEA, rewrite(text)) == "malformed_token"


def test_token_bound_to_another_claim_is_refused(app_context):
    text = single_use.issue(TEA, account="1", browser="mine")
    assert single_use.read(TEA, text, account="1", browser="mine")
    assert refusal(TEA, text, account="2") == "bound_to_another_account"
    assert refusal(TEA, text, account="1", browser="yours") == "bound_to_another_browser"


def test_token_without_the_claim_is_refused(app_context):
    assert refusal(TEA, single_use.issue(TEA), account="1") == "bound_to_another_account"


# Spending.


def test_token_is_spent_once(app_context):
    token = single_use.read(TEA, single_use.issue(TEA))
    assert not single_use.is_spent(token.id)
    single_use.spend(token)
    assert single_use.is_spent(token.id)
    with pytest.raises(Refusal, match=r"^already_used$"):
        single_use.spend(token)


def test_spending_one_token_leaves_the_others(app_context):
    first, second = (single_use.read(TEA, single_use.issue(TEA)) for _ in range(2))
    single_use.spend(first)
    assert not single_use.is_spent(second.id)
    single_use.spend(second)


def test_spent_token_can_still_be_read(app_context):
    """Reading doesn't ask the database, so the caller must spend."""
    text = single_use.issue(TEA)
    single_use.spend(single_use.read(TEA, text))
    assert single_use.read(TEA, text)


def test_spending_is_undone_with_its_transaction(app_context):
    token = single_use.read(TEA, single_use.issue(TEA))
    single_use.spend(token)
    db.session.rollback()
    assert not single_use.is_spent(token.id)
    single_use.spend(token)


# Deleting old rows.


def test_spent_ids_are_forgotten_a_day_after_their_expiry(app, clock):
    clock.move_to(1_800_000_000)
    spend(app, "a", "b")

    def sweep() -> int:
        with app.app_context():
            count = single_use.sweep()
            db.session.commit()
            return count

    clock.shift(TEA.lifetime + KEPT_AFTER_EXPIRY)
    assert sweep() == 0
    assert spent(app) == {"a", "b"}
    clock.shift(ONE_SECOND)
    assert sweep() == 2
    assert spent(app) == set()


def test_about_one_new_token_in_sixteen_deletes_old_rows(app):
    with time_machine.travel(0, tick=False) as clock:
        spend(app, "old")
        clock.shift(2 * KEPT_AFTER_EXPIRY)
        new = 0
        # 360 new tokens without one sweep happen once in ten billion times.
        while new < 360 and "old" in spent(app):
            spend(app, str(new))
            new += 1
    assert "old" not in spent(app)


def test_most_tokens_do_not_sweep():
    assert sum(is_time_to_sweep() for _ in range(1600)) < 400
