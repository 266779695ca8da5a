"""Registers the fixtures of tests/support. Nothing else belongs here."""

pytest_plugins = ["tests.support.platform", "tests.support.postgres", "tests.support.stores"]
