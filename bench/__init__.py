"""The benchmark compares the site with the same flow on bare Flask. `make bench` runs it."""
