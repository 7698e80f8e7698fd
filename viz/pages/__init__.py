"""Pages: one script a page; the file name is the URL."""
