"""The node: the story in order (``flow.py``), the daemon around it, and what people see of it."""
