"""The tool that builds the program from the chapters, and the sentence with which each mistake stops it."""

import pytest

from learn.tutorial.blocks import BlockError, build

START = '''# One

```python new app/a.py
"""A."""

import os

LIMIT = 1


@decorated
def first():
    return LIMIT


class Second:
    pass
```
'''


@pytest.fixture
def chapters(tmp_path):
    """Write chapters, the second one made of these blocks, and build them."""

    def make(*blocks: str) -> dict[str, str]:
        (tmp_path / "01-one.md").write_text(START)
        (tmp_path / "02-two.md").write_text("# Two\n\n" + "\n\n".join(f"```{block}\n```" for block in blocks) + "\n")
        return build(2, tmp_path)

    return make


def test_replace_takes_the_decorators_along(chapters):
    program = chapters("python replace app/a.py first\ndef first():\n    return 2")
    assert "@decorated" not in program["app/a.py"]
    assert "    return 2\n\n\nclass Second" in program["app/a.py"]


def test_replace_finds_constants_and_classes(chapters):
    program = chapters(
        "python replace app/a.py LIMIT\nLIMIT = 2", "python replace app/a.py Second\nclass Second(int):\n    pass"
    )
    assert "LIMIT = 2" in program["app/a.py"]
    assert "class Second(int):" in program["app/a.py"]


def test_after_append_imports_rewrite_and_diff(chapters):
    program = chapters(
        "python after app/a.py first\ndef between():\n    pass",
        "python append app/a.py\nLAST = 3",
        "python imports app/a.py\nimport re",
        "diff diff app/a.py\n-LIMIT = 1\n+LIMIT = 4\n...\n class Second:\n-    pass\n+    size = 5",
        "text new notes.txt\nold",
        "text rewrite notes.txt\nnew",
    )
    text = program["app/a.py"]
    assert text.startswith('"""A."""\n\nimport re\n\nLIMIT = 4\n')
    assert "return LIMIT\n\n\ndef between():\n    pass\n\n\nclass Second:\n    size = 5\n\n\nLAST = 3\n" in text
    assert program["notes.txt"] == "new\n"


def test_prose_and_breaks_change_nothing(chapters):
    program = chapters(
        "sh run\npython wsgi.py", "text\nAll is well", "diff breaks app/a.py t.py::t\n-LIMIT = 1\n+LIMIT = 2"
    )
    assert program == chapters()


@pytest.mark.parametrize(
    ("block", "why"),
    [
        ("python new app/a.py\nx = 1", "there is such a file already"),
        ("python append app/b.py\nx = 1", "there is no such file"),
        ("python replace app/a.py third\nx = 1", "the file has nothing that is called third"),
        ("python after app/a.py third\nx = 1", "the file has nothing that is called third"),
        ("python replace app/a.py\nx = 1", "`replace` takes 2 arguments, and there are 1"),
        ("diff diff app/a.py\n-LIMIT = 7", r"the lines 'LIMIT = 7\\n' are in the file 0 times, and not once"),
        ("diff diff app/a.py\n \n+x = 1", r"the lines '\\n' are in the file 6 times, and not once"),
        ("diff diff app/a.py\n+x = 1", "the lines '' are in the file"),
        ("diff diff app/a.py\n*LIMIT = 1", r"begins with none of ' ', '\+' and '-'"),
    ],
)
def test_block_that_does_not_fit_stops_the_build(chapters, block, why):
    with pytest.raises(
        BlockError, match=rf"^Chapter 2, block `{block.partition(chr(10))[0].partition(' ')[2]}.*` in line 3: .*{why}"
    ):
        chapters(block)


def test_file_without_imports_stops_the_build(chapters):
    with pytest.raises(
        BlockError, match=r"^Chapter 2, block `imports notes\.txt` in line 7: the file has no imports\.$"
    ):
        chapters("text new notes.txt\nLIMIT = 1", "text imports notes.txt\nimport re")


def test_block_without_an_end_stops_the_build(tmp_path):
    (tmp_path / "01-one.md").write_text(START.removesuffix("```\n"))
    with pytest.raises(BlockError, match=r"^Chapter 1: the block in line 3 has no end\.$"):
        build(1, tmp_path)


def test_chapter_that_is_missing_stops_the_build(chapters, tmp_path):
    chapters()
    with pytest.raises(BlockError, match=r"^There is no chapter 3: the last one is 2\.$"):
        build(3, tmp_path)
