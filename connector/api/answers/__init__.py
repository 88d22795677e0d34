"""What the operations of ``/carnet/v1`` answer, as types: handlers encode them, and the API's description is made of them.

Names are those of the JSON. Times are ms since the epoch. May import values of the connector (rows, records, entries), no I/O.
"""
