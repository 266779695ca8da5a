"""The schema's history: one set of revisions for each set of tables, run by `Store.migrate`.

A revision is a file `versions/NNNN_words.py`, written by hand with `op.create_table` and its like, and never
changed once released. Code of the release before and of this one both work after it: what is removed goes one
release later. A test holds that all revisions together make exactly the tables the code declares, on both engines.
"""
