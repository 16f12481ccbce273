"""Customers and what happened with them; knows no telephone and no Flask.

A noun is a package of three files: `models.py` (tables), `operations.py` (what changes them),
`queries.py` (what reads them). All are plain functions that take a SQLAlchemy `Session`; the
caller owns the transaction. `subscribers.py` says which fact becomes which record.
"""
