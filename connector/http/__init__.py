"""The HTTP servers, the guarded client and the mapping of errors to answers."""
