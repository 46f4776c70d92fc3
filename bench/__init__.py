"""The benchmark compares the site with the tutorial's finished program. `make bench` runs it."""
