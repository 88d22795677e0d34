"""The consent ledger: who agreed to what, read at a number."""
