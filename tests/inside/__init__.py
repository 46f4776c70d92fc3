"""Tests of "look inside"."""
