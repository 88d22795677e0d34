"""From a plan to a file: the query, the engine that runs it, and the process that it runs in."""
