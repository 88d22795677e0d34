"""ODRL policies and what each of their terms means. Pure: no I/O, no clock."""
