"""Stories: short programs over the public Python interface, each with a page that explains it."""
