"""Command-line programs: parse, call the library, write results."""
