"""Fixtures of the tests that make whole runs."""

from run_fixtures import command, listener, recipe_of, short_chains

__all__ = ["command", "listener", "recipe_of", "short_chains"]
