"""Two laboratories and the same drives: pseudonyms that cannot be joined, a duty to delete, and its attestation."""
