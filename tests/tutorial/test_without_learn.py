"""Somebody deletes `learn/`, its lines in wsgi.py and its tests. What is left is the whole site."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.tutorial import readers_folder

FOLDERS = ("app", "templates", "static", "migrations", "tests")
FILES = ("authenticator.py", "pyproject.toml", "wsgi.py")

FLOW = ("pytest", "tests/browser/flow")


@pytest.fixture
def site(tmp_path) -> Path:
    """Return the folder of the site without `learn/`."""
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("tutorial", "__pycache__"))
    for file in FILES:
        shutil.copy(ROOT / file, tmp_path)
    lines = (ROOT / "wsgi.py").read_text().splitlines(keepends=True)
    (tmp_path / "wsgi.py").write_text("".join(line for line in lines if "learn" not in line))
    return tmp_path


def run(folder: Path, module: str, *arguments: str) -> str:
    """Run a module in this folder; return what it prints. Asserts that it succeeds."""
    command = [sys.executable, "-m", module, *arguments]
    result = subprocess.run(command, cwd=folder, env=readers_folder.environment(), capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_front_page_is_there_without_a_dead_link(site):
    run(site, "flask", "--app", "wsgi", "db", "upgrade")
    (site / "print_home.py").write_text(
        "import wsgi; print(wsgi.app.test_client().get('/', base_url='http://localhost:8000').text)"
    )
    page = run(site, "print_home")
    assert "One email." in page
    assert "/tutorial" not in page


@pytest.mark.slow
def test_all_browser_tests_of_the_flow_pass(site):
    there = len(re.findall("::test_", run(ROOT, *FLOW, "--collect-only")))
    assert there > 40
    assert re.search(r"^(\d+) passed", run(site, *FLOW), flags=re.M)[1] == str(there)
