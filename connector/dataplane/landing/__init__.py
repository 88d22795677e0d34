"""The consumer's side of a delivery: where data land, how they are checked, and how they are erased."""
