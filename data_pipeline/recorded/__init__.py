"""Recorded conversations: from a table of videos and voices to records, with what was wrong set aside."""
