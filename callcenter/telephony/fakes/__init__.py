"""Scripted twins of the ports in `telephony/ports.py`, one file a port."""
