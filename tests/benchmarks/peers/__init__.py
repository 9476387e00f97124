"""Peers: the same work served by others."""
