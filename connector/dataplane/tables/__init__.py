"""Tables as a source has them: what their columns are, and how they are read."""
