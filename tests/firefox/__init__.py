"""The flow in Firefox, over Marionette: a second engine, and no driver between it and the tests."""
