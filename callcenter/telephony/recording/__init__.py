"""Recordings: crash-safe journal per leg, sealing into one stereo file."""
