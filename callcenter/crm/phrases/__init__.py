"""Phrases that supervisors listen for: lists by language, and the calls in which they were said."""
