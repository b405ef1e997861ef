"""One trainer for all recipes: exact resume, progress in real images shown (`nimg`)."""
