"""Answers to known and unknown addresses take the same time: 200 of each, in turns, on one site."""

import time

import pytest

from tests.conftest import Visitor, expect

pytestmark = pytest.mark.slow

PAIRS = 200


@pytest.fixture
def app(make_app):
    """Return a site without limits."""
    return make_app(FLASK_LIMITS_ENABLED="false")


def test_known_and_unknown_addresses_take_the_same_time(app):
    Visitor(app).sign_in_by_link("known00@example.org")
    visitors = [Visitor(app) for _ in range(2 * PAIRS)]
    taken: dict[str, list[float]] = {"known00@example.org": [], "unknown@example.org": []}
    for number, visitor in enumerate(visitors):
        # They take turns, and each comes first in half of the pairs.
        email = list(taken)[(number + number // 2) % 2]
        begin = time.perf_counter()
        response = visitor.ask(email)
        taken[email].append(time.perf_counter() - begin)
        expect(response, 303)
    known, unknown = taken.values()
    # The share of pairs in which the known address is slower. It is about one half: 0.3 and 0.7 are seven standard
    # deviations away.
    slower = sum(a > b for a in known for b in unknown) / (len(known) * len(unknown))
    assert 0.3 < slower < 0.7
