"""One view, one transaction."""

from collections.abc import Callable
from functools import partial, wraps
from typing import Any, ParamSpec

from flask import g
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import DBAPIError
from werkzeug.exceptions import HTTPException

from app.database import db, rollback

P = ParamSpec("P")


def one_transaction(view: Callable[P, ResponseReturnValue]) -> Callable[P, ResponseReturnValue]:
    """Commit when the view returns or aborts. A refusal commits too, because a failed ceremony has spent its challenge.

    Any other exception leaves the database as it was.
    """

    @wraps(view)
    def committed(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
        try:
            response = view(*args, **kwargs)
        except HTTPException:
            commit()
            raise
        commit()
        return response

    return committed


def commit() -> None:
    """Commit, and then make the calls that `after_commit` was given."""
    db.session.commit()
    for call in g.pop("after_commit", ()):
        call()


def after_commit(function: Callable[..., None], *args: Any, **kwargs: Any) -> None:
    """Call the function once the transaction is committed, and only then."""
    g.setdefault("after_commit", []).append(partial(function, *args, **kwargs))


def commit_if_possible(write: Callable[P, bool], *args: P.args, **kwargs: P.kwargs) -> None:
    """Call `write`, and commit if it returns True.

    If the database takes no writes just now, go on without it: pages can still be read.
    """
    try:
        if write(*args, **kwargs):
            db.session.commit()
    except DBAPIError:
        rollback()
