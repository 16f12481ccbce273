"""Keys of recordings: a master key wraps each customer's key, that one wraps each call's.

    master key (file)  →  customer's key  →  call's key  →  key of a file (`recording.cipher`)

The call of an unknown caller hangs at the master key until somebody says who it was. Destroying a
customer's key makes every call that hangs at it unreadable, wherever its files were copied to.
"""
