"""The front page, and rules for every request."""
