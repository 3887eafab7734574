"""Archives for public leaderboards, one board a file."""
