"""`/lab/`: the attacks, with buttons that run them. It exists on localhost only."""

import re
from collections.abc import Collection
from typing import Any

from flask import Blueprint, Response, abort, render_template, request, stream_template
from flask.typing import ResponseReturnValue
from markupsafe import Markup, escape

from app.database import rollback
from app.refusals import Refusal
from app.views.dev.outbox import local_only
from app.views.shared.answers import render_page
from learn.lab import listings, results, runner
from learn.lab.attacks import Attack
from learn.lab.results import EVERYTHING, NOTHING, Run

# A run takes a few seconds, so a place may be free soon.
PATIENCE_SECONDS = 3

blueprint = Blueprint("lab", __name__, url_prefix="/lab")
blueprint.before_request(local_only)


@blueprint.app_template_filter()
def with_code(text: str) -> Markup:
    """Return text as HTML, with `code` between backticks."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704, it is escaped


@blueprint.app_template_global()
def attacks_on(kind: str, reasons: Collection[str]) -> list[tuple[str, str]]:
    """Return names and titles of the attacks that a check of this kind of ceremony, with these reasons, refuses."""
    layer = "mail" if kind in ("link", "code") else "passkeys"
    attacks = runner.all_attacks().items()
    return [(name, attack.title) for name, attack in attacks if attack.layer == layer and attack.refused in reasons]


@blueprint.get("/")
def index() -> ResponseReturnValue:
    """Show all attacks with their last results."""
    attacks = {
        name: (attack, results.last(name, NOTHING), results.last(name, EVERYTHING))
        for name, attack in runner.all_attacks().items()
    }
    return render_template("lab/index.html", attacks=attacks, layers=runner.LAYERS, holds=runner.holds)


@blueprint.get("/<name>")
def show(name: str) -> ResponseReturnValue:
    """Show an attack, and its last run both ways."""
    attack = _find(name)
    return render_template("lab/attack.html", **_values(name, attack))


@blueprint.post("/<name>")
def run(name: str) -> ResponseReturnValue:
    """Run an attack: `without` is "", or "all", or the number of the cut that takes out a defence.

    The answer is sent while the attack runs, so that its steps appear as they happen.
    """
    attack, without = _find(name), request.form.get("without", NOTHING)
    cuts = results.cuts_of(attack, without)
    if cuts is None:
        abort(404)
    if not runner.places.acquire(timeout=PATIENCE_SECONDS):
        return render_page("lab/attack.html", Refusal("too_many_runs"), 429, **_values(name, attack))
    steps = runner.run_in_place(name, cuts)
    live = Run(name, without, coming=steps)
    # The answer takes seconds. Other requests need the database meanwhile.
    rollback()
    response = Response(stream_template("lab/attack.html", **_values(name, attack, without, live)))

    # This is called in any case, even if the visitor leaves.
    @response.call_on_close
    def stop() -> None:
        steps.close()
        runner.places.release()

    return response


def _find(name: str) -> Attack:
    return runner.all_attacks().get(name) or abort(404)


def _values(name: str, attack: Attack, without: str = NOTHING, live: Run | None = None) -> dict[str, Any]:
    """Return what the page of an attack shows. `live` is a run that takes place just now, without these defences."""
    choices = [NOTHING, EVERYTHING, *(str(number) for number, _ in enumerate(attack.cuts, 1))]
    earlier = {choice: results.last(name, choice) for choice in choices}
    runs = earlier | ({without: live} if live else {})
    names = list(runner.all_attacks())
    place = names.index(name)
    return {
        "name": name,
        "attack": attack,
        "code": listings.of_attack(name),
        "listings": listings,
        "earlier": earlier,
        "runs": runs,
        "live": live,
        "holds": runner.holds,
        "previous": names[place - 1] if place else "",
        "next": names[place + 1] if place + 1 < len(names) else "",
        "titles": {each: runner.all_attacks()[each].title for each in names},
    }
