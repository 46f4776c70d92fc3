"""The flow, as a visitor sees it. Every test here runs against the site and against the program of the tutorial."""
