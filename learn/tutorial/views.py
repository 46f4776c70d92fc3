"""The tutorial's pages."""

from flask import Blueprint, abort, render_template, send_from_directory
from flask.typing import ResponseReturnValue

from learn.tutorial import pages
from learn.tutorial.blocks import CHAPTERS, last_chapter

blueprint = Blueprint("tutorial", __name__, url_prefix="/tutorial")


@blueprint.get("/")
def index() -> ResponseReturnValue:
    """Show what the tutorial leads to, and its chapters."""
    return render_template("tutorial/index.html", html=pages.page("index"), titles=pages.titles())


@blueprint.get("/<int:number>")
def chapter(number: int) -> ResponseReturnValue:
    """Show a chapter."""
    if not 1 <= number <= last_chapter():
        abort(404)
    return render_template("tutorial/chapter.html", chapter=pages.chapter(number), titles=pages.titles())


@blueprint.get("/glossary")
def glossary() -> ResponseReturnValue:
    """Show the words that the chapters explain."""
    return render_template("tutorial/glossary.html", html=pages.glossary(), titles=pages.titles())


@blueprint.get("/pictures/<name>")
def picture(name: str) -> ResponseReturnValue:
    """Return a picture of a stage."""
    return send_from_directory(CHAPTERS / "pictures", name)
