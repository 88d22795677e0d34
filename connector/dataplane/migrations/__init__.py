"""Numbered migrations, each a file of SQL."""
