"""Suites of ablations: plan, cells, tables, pictures."""
