"""Images to learn from that no scanner made."""
