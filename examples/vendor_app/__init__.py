"""A pretend app of a vendor that shows its customers pieces of Tollmeter inside its own pages (docs/embedding.md).

It knows Tollmeter by its API and its script alone, as any other app would, and uses Python's standard library.
"""
