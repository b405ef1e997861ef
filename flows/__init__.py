"""Prefect flows: compositions of tasks, and the command line."""
