"""The Dataspace Protocol without I/O: states, messages and what may follow what."""
