"""Signed tokens that work once, apart from what they are used for."""

from datetime import timedelta

import pytest
import time_machine

from app import single_use
from app.database import db, is_time_to_sweep
from app.models import SpentToken, now
from app.refusals import Refusal
from tests.authenticator import respelled


def spent(app) -> set[str]:
    with app.app_context():
        return set(db.session.scalars(db.select(SpentToken.id)))


def spend(app, *ids: str) -> None:
    with app.app_context():
        for id in ids:
            single_use.spend(id, now() + single_use.CLOCK_SKEW)
        db.session.commit()


def sweep(app) -> None:
    with app.app_context():
        single_use.sweep()
        db.session.commit()


def test_spent_ids_are_forgotten_a_day_after_their_expiry(app):
    with time_machine.travel(0, tick=False) as clock:
        spend(app, "a", "b")
        clock.shift(single_use.CLOCK_SKEW + single_use.KEPT_AFTER_EXPIRY)
        sweep(app)
        assert spent(app) == {"a", "b"}
        clock.shift(1)
        sweep(app)
        assert spent(app) == set()


def test_one_new_token_in_sixteen_or_so_pays_for_old_ones(app):
    with time_machine.travel(0, tick=False) as clock:
        spend(app, "old")
        clock.shift(2 * single_use.KEPT_AFTER_EXPIRY)
        new = 0
        # That it takes as many happens once in ten billion times.
        while new < 360 and "old" in spent(app):
            spend(app, str(new))
            new += 1
    assert "old" not in spent(app)


def test_most_tokens_do_not_sweep():
    assert sum(is_time_to_sweep() for _ in range(1600)) < 400


@pytest.mark.parametrize(
    "rewrite",
    [respelled, lambda token: token + "=", lambda token: token + "\n", lambda token: token[:-5] + "!" + token[-5:]],
    ids=["bits that no byte needs", "padding", "a line break", "a character that decoders skip"],
)
def test_a_token_has_one_text(app, rewrite):
    purpose = single_use.Purpose("test", timedelta(minutes=1))
    with app.app_context():
        token = single_use.issue(purpose)
        assert single_use.read(purpose, token).id
        with pytest.raises(Refusal, match="malformed_token"):
            single_use.read(purpose, rewrite(token))
