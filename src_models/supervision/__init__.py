"""Learning from less than whole masks, and from more tasks than one."""
