"""Yes/no questions about images, answered by small heads on a backbone's features."""
