"""Removing what was said and written, for an erasure and when its time is over.

Rows that figures count stay, emptied; nothing here commits, doing it twice changes nothing.
"""
