"""The plan of a governed delivery: what an agreement, a table and a request come to."""
