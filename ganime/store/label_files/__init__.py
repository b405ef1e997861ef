"""Labels in and out: CSV, JSON lines, and folders named by class, as people had them before."""

from ganime.store.label_files.entries import Unmatched, check_question
from ganime.store.label_files.exporting import export_labels
from ganime.store.label_files.importing import ImportResult, import_labels

__all__ = ["ImportResult", "Unmatched", "check_question", "export_labels", "import_labels"]
