"""Tools that several views use."""
