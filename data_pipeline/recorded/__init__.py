"""Recorded conversations: from a table of videos and voices to records; faulty clips are set aside."""
