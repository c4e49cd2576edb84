"""Panels: they ask the session and show what it tells."""
