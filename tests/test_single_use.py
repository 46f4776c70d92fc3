"""Signed tokens that work once, apart from what they are used for."""

import time_machine

from app import single_use
from app.extensions import db
from app.models import SpentToken, now

# The ids of one token in sixteen begin so, and sweep.
SWEEPING = "0" * 22


def spent(app) -> set[str]:
    with app.app_context():
        return set(db.session.scalars(db.select(SpentToken.id)))


def spend(app, *ids: str) -> None:
    with app.app_context():
        for id in ids:
            single_use.spend(id, now() + single_use.CLOCK_SKEW)
        db.session.commit()


def test_spent_ids_are_forgotten_a_day_after_their_expiry(app):
    with time_machine.travel(0, tick=False) as clock:
        spend(app, "a", "b")
        clock.shift(single_use.CLOCK_SKEW + single_use.KEPT_AFTER_EXPIRY)
        spend(app, SWEEPING)
        assert spent(app) == {"a", "b", SWEEPING}
        clock.shift(1)
        spend(app, SWEEPING[:-1])
        assert spent(app) == {SWEEPING, SWEEPING[:-1]}


def test_most_tokens_do_not_sweep(app):
    with time_machine.travel(0, tick=False) as clock:
        spend(app, "a")
        clock.shift(2 * single_use.KEPT_AFTER_EXPIRY)
        spend(app, "b")
        assert spent(app) == {"a", "b"}
