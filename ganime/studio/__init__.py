"""The studio: characters out of a trained generator, over HTTP and on a page."""
