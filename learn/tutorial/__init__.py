"""The tutorial: chapters of Markdown that are the only source of a small program."""
