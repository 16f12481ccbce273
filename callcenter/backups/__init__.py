"""Backups: everything that cannot be made again, in one file that `tar` and `sha256sum` can read.

making     journals → database as of one moment → recordings → SHA256SUMS
archive    the file: written in one go, read in one go, every byte checked
dumps      the database into a file and back: SQLite, PostgreSQL
restoring  recordings first, the database last: until it is there, nothing was brought back
"""
