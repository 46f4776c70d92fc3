"""Pages that exist on localhost only: `/dev`."""
