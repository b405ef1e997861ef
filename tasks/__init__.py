"""Prefect tasks: a thin coat around one stage of the library each."""
