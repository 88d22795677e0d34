"""Carnet's connector: the peer that speaks the Dataspace Protocol."""
