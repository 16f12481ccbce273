"""Calls and sound. Knows no customer and no browser page."""
