"""Signing in and out: `/sign-in` and `/sign-out`."""
