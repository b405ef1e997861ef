"""What the pages share: who may ask, how they are served, and their own files."""
