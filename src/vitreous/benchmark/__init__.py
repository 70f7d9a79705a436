"""Frozen cases × methods → records and tables, through workflows."""

from vitreous.benchmark.tables import TableResult, run_table, table_names

__all__ = ["TableResult", "run_table", "table_names"]
