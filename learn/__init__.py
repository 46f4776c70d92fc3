"""Latchkey's teaching parts. The site works without them: delete this folder, and its lines in `wsgi.py`."""
