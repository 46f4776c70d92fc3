"""The README and the tables of docs/security.md: every file, page and test that they name exists."""

import re

from app.config import SETTINGS
from tests.conftest import ROOT, expect

README = (ROOT / "README.md").read_text()


def test_settings_table_has_every_setting_and_no_other():
    documented = re.findall(r"^\| *`(FLASK_\w+)`", README, re.MULTILINE)
    assert sorted(documented) == sorted(f"FLASK_{name}" for name in SETTINGS)


PROSE = re.sub(r"^```.*?^```", "", README, flags=re.MULTILINE | re.DOTALL)

# A name in backticks is a file name if it has a slash inside or one of our endings. The two excluded folders are made
# on each machine.
FILE = r"`(?!instance/|\.venv/)((?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:py|md|toml|txt|css|js|html))`"
PAGE = r"`(/[\w./-]*)`"

# These pages redirect a visitor who is signed out and waits for no mail.
REDIRECTS = ("/account", "/sign-in/check-email", "/sign-in/second-step")


def test_every_named_file_exists():
    named = re.findall(FILE, PROSE)
    assert not [name for name in named if not (ROOT / name).exists()]
    assert named


def test_every_named_file_and_page_is_a_link(visitor):
    unlinked = re.sub(r"\[`[^`]+`\]\([^)]+\)", "", PROSE)
    assert not re.findall(FILE, unlinked) + re.findall(PAGE, unlinked)
    for name, target in re.findall(r"\[`([^`]+)`\]\(([^)]+)\)", PROSE):
        if name.startswith("/"):
            assert target == f"http://localhost:8000{name}"
            expect(visitor.get(name), 303 if name.startswith(REDIRECTS) else 200)
        else:
            assert target == name


WHERE = re.compile(r"^`([\w./-]+)`(?: `(\w+)`)?$")


def test_each_file_name_and_test_of_the_threat_table_exists():
    rows = [line.strip("| ").split(" | ") for line in (ROOT / "docs/security.md").read_text().splitlines()]
    rows = [row for row in rows if len(row) >= 3 and WHERE.match(row[2].strip(" |"))]
    assert len(rows) > 60
    for row in rows:
        file, name = WHERE.match(row[2].strip(" |")).groups()
        source = (ROOT / file).read_text()
        assert not name or re.search(rf"^(def |class |    def )?{name}\b", source, re.MULTILINE), (
            f"{file} has no {name}"
        )
        for test in re.findall(r"`([\w/]*test_\w+\.py)::(test_\w+)`", " ".join(row[3:])):
            assert f"def {test[1]}(" in (ROOT / "tests" / test[0]).read_text(), "::".join(test)


def test_map_of_contributing_names_every_module_of_the_site():
    named = re.findall(r"`([\w./-]+\.(?:py|html))`", (ROOT / "CONTRIBUTING.md").read_text())
    assert not [name for name in named if not (ROOT / name).exists()]
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "app").rglob("*.py") if path.name != "__init__.py"}
    assert not modules - set(named)
