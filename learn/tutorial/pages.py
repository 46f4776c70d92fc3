"""A chapter as HTML: prose by markdown-it, code by Pygments, and marks on the lines that a block changes."""

import difflib
import re
from dataclasses import dataclass
from functools import cache
from html import escape
from typing import Any

from learn.tutorial.blocks import CHAPTERS, Block, apply, block_of, build, chapter_file, last_chapter

# What a reader takes for a chapter: so many words of prose a minute, and so many new lines of code.
WORDS_PER_MINUTE, LINES_PER_MINUTE = 120, 15

CONTEXT = 2
"""How many unchanged lines are shown around changes."""

DONE = {
    "new": "new file",
    "rewrite": "write it anew",
    "append": "add at the end",
    "imports": "replace the imports",
    "replace": "replace {name}",
    "after": "add below {name}",
    "diff": "change",
    "breaks": "try this, and take it back",
}

WHOLE = ("new", "replace", "rewrite", "imports")
"""Of these, "Copy" takes all lines; of the others, those that are added."""

LEXERS = {"html": "html+jinja", "sh": "text", "powershell": "text", "diff": "text"}


@dataclass(frozen=True)
class Row:
    """A line of code: `kind` is "+", "-" or " "; its number counts in the file as it is after the change."""

    kind: str
    number: int
    html: str


@dataclass(frozen=True)
class Chapter:
    """A chapter as its page shows it."""

    number: int
    title: str
    html: str
    minutes: int
    new_lines: int


@dataclass(frozen=True)
class Part:
    """A piece of a chapter: prose, a change to a file, or a command."""

    kind: str
    html: str = ""
    file: str = ""
    done: str = ""
    rows: tuple[Row, ...] = ()


@cache
def titles() -> list[str]:
    """Return the titles of all chapters, in their order."""
    return [_title(chapter_file(number).read_text()) for number in range(1, last_chapter() + 1)]


@cache
def chapter(number: int) -> Chapter:
    """Return a chapter. Raises BlockError where there is none."""
    text = chapter_file(number).read_text()
    program, new_lines, parts = build(number - 1), 0, []
    for token_group in _groups(text):
        if isinstance(token_group, str):
            parts.append(Part("prose", token_group))
            continue
        language, info, content, line = token_group
        block = block_of(number, line, info, content)
        if not block:
            parts.append(
                Part("output" if language == "text" else "command", "\n".join(_highlighted(content, language)))
            )
            continue
        after = apply(program, block)
        rows = _rows(block, program.get(block.file, ""), after[block.file])
        kind = {"breaks": "breaks"}.get(block.operation, "change whole" if block.operation in WHOLE else "change")
        parts.append(Part(kind, "", block.file, _done(block), rows))
        if block.operation != "breaks":
            new_lines += sum(row.kind == "+" for row in rows) if program.get(block.file) else len(rows)
            program = after
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    minutes = round(len(prose.split()) / WORDS_PER_MINUTE + new_lines / LINES_PER_MINUTE)
    return Chapter(number, _title(text), _page(parts), minutes, new_lines)


@cache
def glossary() -> str:
    """Return the glossary as HTML. Each word has an id, so that other pages can link to it: "RP ID" has `rp-id`."""

    def with_ids(words: re.Match[str]) -> str:
        marked = (f'<span id="{word.lower().replace(" ", "-")}">{word}</span>' for word in words[1].split(", "))
        return f"<li><strong>{', '.join(marked)}</strong>"

    return re.sub("<li><strong>(.+?)</strong>", with_ids, page("glossary"))


@cache
def page(name: str) -> str:
    """Return a page without blocks, such as `glossary`, as HTML."""
    return "".join(group for group in _groups((CHAPTERS / f"{name}.md").read_text()) if isinstance(group, str))


def _title(text: str) -> str:
    return text.partition("\n")[0].removeprefix("# ")


def _done(block: Block) -> str:
    return DONE[block.operation].format(name=block.name)


def _groups(text: str) -> list[str | tuple[str, str, str, int]]:
    """Return the chapter's prose as HTML, and between it the fences: language, info string, content and line."""
    from markdown_it import MarkdownIt

    # The title is the page's own.
    text = re.sub(r"\A# .*\n", "\n", text)
    text = re.sub(r"\]\((\d\d)-[\w-]+\.md\)", lambda match: f"](/tutorial/{int(match[1])})", text)
    text = re.sub(r"\]\((\w+)\.md\)", r"](/tutorial/\1)", text)
    text = re.sub(r"\]\(pictures/", "](/tutorial/pictures/", text)
    markdown = MarkdownIt("commonmark", {"typographer": True}).enable("smartquotes")
    groups: list[str | tuple[str, str, str, int]] = []
    prose: list[Any] = []
    for token in markdown.parse(text):
        if token.type == "fence":
            groups += [markdown.renderer.render(prose, markdown.options, {})]
            prose = []
            language = token.info.partition(" ")[0]
            groups.append((language, token.info, token.content, (token.map or [0])[0] + 1))
        else:
            prose.append(token)
    return [*groups, markdown.renderer.render(prose, markdown.options, {})]


def _highlighted(text: str, language: str) -> list[str]:
    """Return the lines as HTML."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import get_lexer_by_name

    lexer = get_lexer_by_name(LEXERS.get(language, language), stripnl=False, ensurenl=True)
    return highlight(text, lexer, HtmlFormatter(nowrap=True)).splitlines()


def _language(file: str, block: Block) -> str:
    endings = {"py": "python", "js": "js", "css": "css", "html": "html"}
    return endings.get(file.rpartition(".")[2], "text" if block.language == "diff" else block.language)


def _rows(block: Block, before: str, after: str) -> tuple[Row, ...]:
    """Return the lines that the block shows, each with its mark."""
    language = _language(block.file, block)
    old, new = (_highlighted(text, language) if text else [] for text in (before, after))
    if not before:
        return tuple(Row(" ", number, html) for number, html in enumerate(new, 1))
    rows: list[Row] = []
    matcher = difflib.SequenceMatcher(None, before.splitlines(), after.splitlines(), autojunk=False)
    for kind, old_first, old_last, first, last in matcher.get_opcodes():
        if kind == "equal":
            rows += [Row(" ", number + 1, new[number]) for number in range(first, last)]
        else:
            rows += [Row("-", first + 1, old[number]) for number in range(old_first, old_last)]
            rows += [Row("+", number + 1, new[number]) for number in range(first, last)]
    if block.operation in WHOLE:
        shown = _own_rows(rows, block, after)
    else:
        changed = [place for place, row in enumerate(rows) if row.kind != " "]
        shown = [row for place, row in enumerate(rows) if any(abs(place - other) <= CONTEXT for other in changed)]
        while shown[0].kind == " " and not shown[0].html:
            shown = shown[1:]
        while shown[-1].kind == " " and not shown[-1].html:
            shown = shown[:-1]
    return tuple(shown)


def _own_rows(rows: list[Row], block: Block, after: str) -> list[Row]:
    """Return the rows of the block's own lines, and of the lines that it takes the place of."""
    first = after[: after.index(block.text)].count("\n") + 1
    last = first + block.text.count("\n") - 1
    return [row for row in rows if first <= row.number <= last + (row.kind == "-")]


def _page(parts: list[Part]) -> str:
    """Return the parts as HTML. The last two sections of a chapter get a frame of their own."""
    html, frame = "", ""
    for part in parts:
        text = part.html if part.kind == "prose" else _figure(part)
        for heading, name in (("Break it", "break"), ("In the real site", "real"), ("What you have built", "built")):
            if f"<h2>{heading}</h2>" in text:
                before, _, text = text.partition(f"<h2>{heading}</h2>")
                html += before + ("</section>" if frame else "")
                frame = name
                html += f'<section class="{name}"><h2>{heading}</h2>'
        html += text
    return html + ("</section>" if frame else "")


def _figure(part: Part) -> str:
    if part.kind in ("command", "output"):
        return f'<div class="listing {part.kind}"><pre tabindex="0"><code>{part.html}</code></pre></div>'
    tags = {" ": "span", "+": "ins", "-": "del"}
    lines, previous = "", 0
    for row in part.rows:
        if previous and row.number > previous + 1:
            lines += '<span class="gap">⋯</span>'
        mark = "" if row.kind == " " else f"{row.kind} "
        lines += f'<{tags[row.kind]} data-line="{mark}{row.number}">{row.html}</{tags[row.kind]}>'
        previous = row.number
    return (
        f'<figure class="listing {part.kind}"><figcaption><strong>{escape(part.file)}</strong> '
        f'<span class="done">{escape(part.done)}</span></figcaption>'
        f'<pre tabindex="0"><code>{lines}</code></pre></figure>'
    )
