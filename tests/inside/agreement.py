"""Look inside against the site: both judge every response that any test sends to a site in this process.

The site's verdict is the exception with which an attempt ends, or that it ends without one. This only watches.
tests/conftest.py imports the fixtures, so they are in use in every test.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict

import pytest

from app.ceremonies.attempts import Attempt, CeremonyError, Facts
from learn.inside import checks
from learn.inside.ceremonies import Ceremony

# Refused before anything of the response is read, so that there is no transcript to show.
UNREAD = {"passkeys_disabled"}


@pytest.fixture(scope="session")
def watched() -> Iterator[list[str]]:
    """Judge each attempt as it ends. Return a list, to which each disagreement is added."""
    disagreements: list[str] = []
    end = Attempt.__exit__

    def watched_end(attempt, kind, error, traceback):
        reason = ""
        try:
            end(attempt, kind, error, traceback)
        except CeremonyError as refused:
            reason = refused.reason
            raise
        finally:
            # Other exceptions are errors of the database: no verdict. test_vectors.py makes attempts without text.
            has_verdict = (reason or error is None) and (attempt.response or reason == "not_json")
            if has_verdict and reason not in UNREAD:
                disagreements.extend(disagreement(attempt, reason))

    Attempt.__exit__ = watched_end
    yield disagreements
    Attempt.__exit__ = end


@pytest.fixture(autouse=True)
def look_inside_agrees(watched) -> Iterator[None]:
    """Assert that Look inside finds what the site found in each response of the test: the same reason, or no fault."""
    yield
    disagreements = [*watched]
    watched.clear()
    assert disagreements == []


def disagreement(attempt: Attempt, refused: str) -> Iterator[str]:
    """Yield a sentence if Look inside finds another verdict than the site's. It gets what a transcript keeps."""
    facts = Facts(**json.loads(json.dumps(asdict(attempt.facts))))
    ceremony = Ceremony(attempt.purpose.name, attempt.response, facts, refused)
    try:
        found = verdict(checks.judge(ceremony))
    except Exception as error:
        found = repr(error)
    if found != refused:
        yield f"{ceremony.kind}: the site says {refused!r}, and Look inside {found!r}: {attempt.response[:5000]}"


def verdict(results: list[checks.Result]) -> str:
    """Return the reason of the check that failed, or "" if each one passed."""
    failed = [result for result in results if result.verdict == checks.FAILED]
    if not failed:
        return "".join(f"{result.check.key} was not reached " for result in results if result.verdict != checks.PASSED)
    assert failed[0].reason in failed[0].check.reasons, failed[0]
    return failed[0].reason
