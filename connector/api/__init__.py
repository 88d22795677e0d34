"""Our own interface, ``/carnet/v1``: operations as data, of which routes, access and documentation are made."""
