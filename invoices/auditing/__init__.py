"""The audit of the books: events counted and rated again, and every sum held against what it is the sum of.

`runs` does the work, chunk by chunk; each check is a file of its own, which reads and writes nothing.
"""
