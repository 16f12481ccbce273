"""Erasing one customer: the key first, then all that can be removed; counts and times stay.

    asked → running → done        a lead asks, an administrator runs it, the jobs process does it
      └──→ withdrawn

`erasing` says what becomes of each row, `eraser` is the job, `tombstones` the file outside of the
database that makes a restored backup obey.
"""
