"""Joining: network files, the handshake, the duties of a seed."""
