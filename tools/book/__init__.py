"""The book: a site made from the committed notebooks and the pages in docs/. `python tools/make_book.py` builds it."""
