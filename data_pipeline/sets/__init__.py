"""Public sets of recorded conversations: from a set's own layout on disk to a table for `data_pipeline.build --pairs`.

    python -m data_pipeline.sets.NAME --root FOLDER --out pairs.csv

Each set has one module. Its `read` lists what it finds and says what it left out and why; nothing is decoded.
docs/data.md has the sets, their layouts and licences.
"""
