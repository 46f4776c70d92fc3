"""The benchmark: what the site costs, measured against the same flow on bare Flask. `make bench` runs it."""
