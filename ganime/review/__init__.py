"""The review page's back end: every image found, explained and corrected by hand."""
