"""Clients of a connector for programs of its owner."""
